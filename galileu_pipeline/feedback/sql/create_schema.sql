-- The warehouse. Every statement can be repeated.

-- Ratings, thumbs and comments that passed validation; one row a vote.
CREATE TABLE IF NOT EXISTS feedback (
    feedback_id      VARCHAR NOT NULL,  -- the client's id, or the digest of the row where it has none
    source           VARCHAR NOT NULL,  -- e.g. 'feedback.db:feedback'
    position         BIGINT  NOT NULL,  -- the row's place in its source: the SQLite rowid
    occurred_at      TIMESTAMP,         -- UTC
    session_id       VARCHAR,
    user_id          VARCHAR,
    query            VARCHAR NOT NULL,  -- repaired text
    query_key        VARCHAR NOT NULL,  -- what makes two queries the same question
    response         VARCHAR NOT NULL,  -- repaired text
    rating           DOUBLE,            -- 1 to 5
    thumbs_up        BOOLEAN,
    score            DOUBLE,            -- 0 to 1; NULL where there is only a comment
    comment          VARCHAR,
    source_documents VARCHAR,           -- JSON, as it came
    metadata         VARCHAR,           -- JSON, as it came
    repaired         BOOLEAN            -- cleaning changed a text
);

-- Side-by-side choices that passed validation.
CREATE TABLE IF NOT EXISTS feedback_choices (
    feedback_id VARCHAR NOT NULL,
    source      VARCHAR NOT NULL,
    position    BIGINT  NOT NULL,
    occurred_at TIMESTAMP,
    session_id  VARCHAR,
    user_id     VARCHAR,
    query       VARCHAR NOT NULL,
    query_key   VARCHAR NOT NULL,
    chosen      VARCHAR NOT NULL,
    rejected    VARCHAR NOT NULL,
    reason      VARCHAR,
    metadata    VARCHAR,
    repaired    BOOLEAN
);

-- Rows that did not pass, whole, with the reason. Nothing is thrown away.
CREATE TABLE IF NOT EXISTS feedback_quarantine (
    row_digest     VARCHAR NOT NULL,
    source         VARCHAR NOT NULL,
    position       BIGINT  NOT NULL,
    reason         VARCHAR NOT NULL,    -- a code of feedback/validation.py
    detail         VARCHAR NOT NULL,    -- for people: which column, which value
    raw            VARCHAR NOT NULL,    -- the row as JSON
    quarantined_at TIMESTAMP NOT NULL
);

-- What each ingestion read, so that rows in = accepted + quarantined + duplicates can be checked for ever.
CREATE TABLE IF NOT EXISTS ingestions (
    source      VARCHAR NOT NULL,
    ingested_at TIMESTAMP NOT NULL,
    rows_in     BIGINT NOT NULL,
    accepted    BIGINT NOT NULL,
    quarantined BIGINT NOT NULL,
    duplicates  BIGINT NOT NULL,
    last_position BIGINT,               -- where the next ingestion of this source goes on
    last_digest   VARCHAR               -- the digest of the row there: tells a grown file from a replaced one
);

-- The current pairs, and every feedback row behind each of them.
CREATE TABLE IF NOT EXISTS preference_pairs (
    pair_id      VARCHAR NOT NULL,      -- first 16 hex digits of sha256(query_key, chosen, rejected)
    query_key    VARCHAR NOT NULL,
    prompt       VARCHAR NOT NULL,
    chosen       VARCHAR NOT NULL,
    rejected     VARCHAR NOT NULL,
    margin       DOUBLE  NOT NULL,      -- difference of mean scores, or net share of the side-by-side votes
    origin       VARCHAR NOT NULL,      -- 'ratings', 'choices' or 'both'
    split        VARCHAR NOT NULL       -- 'train' or 'test', by hash of the query key
);

CREATE TABLE IF NOT EXISTS pair_sources (
    pair_id     VARCHAR NOT NULL,
    feedback_id VARCHAR NOT NULL,
    role        VARCHAR NOT NULL        -- 'chosen' or 'rejected' (a vote on that answer); side by side, 'choice' or 'outvoted'
);
