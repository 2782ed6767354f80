-- The warehouse. Every statement can be repeated: where the file was made by another text than this one, it is run again.

-- Votes that passed validation: ratings, thumbs, comments; one row a vote. Texts are repaired and masked.
CREATE TABLE IF NOT EXISTS feedback (
    feedback_id      VARCHAR NOT NULL,  -- the client's id, or a keyed digest of the row where it has none; once a table
    source           VARCHAR NOT NULL,  -- e.g. 'feedback.db:feedback', or the name of an imported file
    position         BIGINT  NOT NULL,  -- the row's place in its source: the SQLite rowid, or the line
    ingestion        BIGINT  NOT NULL,  -- which one brought it (table ingestions)
    occurred_at      TIMESTAMP,         -- UTC
    session_id       VARCHAR,           -- a keyed hash
    user_id          VARCHAR,           -- a keyed hash
    query            VARCHAR NOT NULL USING COMPRESSION zstd,
    query_key        UUID    NOT NULL,  -- what makes two queries the same question
    response         VARCHAR NOT NULL USING COMPRESSION zstd,
    response_digest  UUID    NOT NULL,  -- 128 bits of sha256; answers are told apart by it
    rating           DOUBLE,            -- 1 to 5
    thumbs_up        BOOLEAN,
    score            DOUBLE,            -- 0 to 1; NULL where there is only a comment
    comment          VARCHAR USING COMPRESSION zstd,
    source_documents VARCHAR,           -- JSON, without personal data
    metadata         VARCHAR,           -- JSON, without personal data
    repaired         BOOLEAN,           -- cleaning changed a text
    masked           MAP(VARCHAR, INTEGER), -- personal identifiers masked in the texts, by kind; NULL for none
    row_digest       UUID    NOT NULL   -- 128 bits of sha256 over id, texts and score
);

-- In `position` and `ingestion` stands where and when the row was read last in the state that it has.

-- Side-by-side choices that passed validation: one answer preferred to another, corrections among them.
CREATE TABLE IF NOT EXISTS feedback_choices (
    feedback_id     VARCHAR NOT NULL,
    source          VARCHAR NOT NULL,
    position        BIGINT  NOT NULL,
    ingestion       BIGINT  NOT NULL,
    occurred_at     TIMESTAMP,
    session_id      VARCHAR,
    user_id         VARCHAR,
    query           VARCHAR NOT NULL USING COMPRESSION zstd,
    query_key       UUID    NOT NULL,
    chosen          VARCHAR NOT NULL USING COMPRESSION zstd,
    rejected        VARCHAR NOT NULL USING COMPRESSION zstd,
    chosen_digest   UUID    NOT NULL,   -- as feedback.response_digest
    rejected_digest UUID    NOT NULL,
    reason          VARCHAR,
    metadata        VARCHAR,
    repaired        BOOLEAN,
    masked          MAP(VARCHAR, INTEGER),
    row_digest      UUID    NOT NULL
);


-- Votes between two models' answers, ties and "both bad" among them. Those that decide are choices too.
CREATE TABLE IF NOT EXISTS feedback_comparisons (
    feedback_id    VARCHAR NOT NULL,
    source         VARCHAR NOT NULL,
    position       BIGINT  NOT NULL,
    ingestion      BIGINT  NOT NULL,
    occurred_at    TIMESTAMP,
    session_id     VARCHAR,
    user_id        VARCHAR,
    query          VARCHAR NOT NULL USING COMPRESSION zstd,
    query_key      UUID    NOT NULL,
    response_left  VARCHAR NOT NULL USING COMPRESSION zstd,
    response_right VARCHAR NOT NULL USING COMPRESSION zstd,
    response_left_digest  UUID    NOT NULL, -- as feedback.response_digest
    response_right_digest UUID    NOT NULL,
    model_left     VARCHAR,
    model_right    VARCHAR,
    verdict        VARCHAR NOT NULL,    -- 'left', 'right', 'tie' or 'both_bad'
    reason         VARCHAR,
    metadata       VARCHAR,
    repaired       BOOLEAN,
    masked         MAP(VARCHAR, INTEGER),
    row_digest     UUID    NOT NULL
);

-- What was accepted and stands no longer: states of votes that a newer one replaced, and rows that their source dropped.
CREATE TABLE IF NOT EXISTS feedback_history (
    kind        VARCHAR NOT NULL,       -- 'vote', 'choice' or 'comparison'
    feedback_id VARCHAR NOT NULL,
    source      VARCHAR NOT NULL,
    position    BIGINT  NOT NULL,
    ingestion   BIGINT  NOT NULL,
    occurred_at TIMESTAMP,
    session_id  VARCHAR,
    user_id     VARCHAR,
    query_key   UUID    NOT NULL,
    row_digest  UUID    NOT NULL,
    state       VARCHAR NOT NULL USING COMPRESSION zstd, -- JSON, the row as it was
    cause       VARCHAR NOT NULL,       -- 'replaced' by a newer state, 'late' (it was older already), or 'gone'
    ended_in    BIGINT  NOT NULL        -- the ingestion that found it so
);

-- What a row is about: an answer to a question, or two answers to it.
CREATE OR REPLACE MACRO subject_of_vote(response_digest, query_key) AS
    concat_ws('|', response_digest::UUID, query_key::UUID);
CREATE OR REPLACE MACRO subject_of_choice(one, other, query_key) AS
    concat_ws('|', least(one::UUID, other::UUID), greatest(one::UUID, other::UUID), query_key::UUID);
CREATE OR REPLACE MACRO subject_of_comparison(left_digest, right_digest, query_key) AS
    concat_ws('|', left_digest::UUID, right_digest::UUID, query_key::UUID);

-- Every stored row, with what it is about.
CREATE OR REPLACE VIEW stored_rows AS
SELECT
    'vote' AS kind, feedback_id, source, position, ingestion, subject_of_vote(response_digest, query_key) AS subject
FROM feedback
UNION ALL
SELECT
    'choice', feedback_id, source, position, ingestion, subject_of_choice(chosen_digest, rejected_digest, query_key)
FROM feedback_choices
UNION ALL
SELECT
    'comparison', feedback_id, source, position, ingestion,
    subject_of_comparison(response_left_digest, response_right_digest, query_key)
FROM feedback_comparisons;

-- Every preference of one answer to another, however it came: choices, and votes between two answers that decide. Of the
-- same vote the chatbot's file may have both.
CREATE OR REPLACE VIEW preferences AS
SELECT
    feedback_id, source, position, ingestion, occurred_at, session_id, user_id, query, query_key, chosen, rejected,
    chosen_digest, rejected_digest, reason
FROM feedback_choices
ANTI JOIN (FROM feedback_comparisons WHERE verdict IN ('left', 'right')) AS decided USING (feedback_id)
UNION ALL
SELECT
    feedback_id, source, position, ingestion, occurred_at, session_id, user_id, query, query_key,
    CASE verdict WHEN 'left' THEN response_left ELSE response_right END AS chosen,
    CASE verdict WHEN 'left' THEN response_right ELSE response_left END AS rejected,
    CASE verdict WHEN 'left' THEN response_left_digest ELSE response_right_digest END AS chosen_digest,
    CASE verdict WHEN 'left' THEN response_right_digest ELSE response_left_digest END AS rejected_digest,
    reason
FROM feedback_comparisons
WHERE verdict IN ('left', 'right');

-- Ties and "both bad" of people who also preferred one of the two answers: the later of the two is what they mean.
CREATE OR REPLACE VIEW withdrawals AS
SELECT
    feedback_id, position, ingestion, occurred_at, session_id, user_id, query_key, response_left_digest,
    response_right_digest
FROM feedback_comparisons
SEMI JOIN preferences ON feedback_comparisons.query_key = preferences.query_key
    AND coalesce(feedback_comparisons.user_id, feedback_comparisons.session_id)
        = coalesce(preferences.user_id, preferences.session_id)
    AND least(response_left_digest, response_right_digest) = least(chosen_digest, rejected_digest)
    AND greatest(response_left_digest, response_right_digest) = greatest(chosen_digest, rejected_digest)
WHERE verdict IN ('tie', 'both_bad');

-- Whose words every pair may hang on: each vote, preference and withdrawal, with its person, once. The same row of the
-- chatbot's file may be more than one of them.
CREATE OR REPLACE VIEW given_rows AS
WITH side_by_side AS (
    SELECT query_key, feedback_id, coalesce(user_id, session_id) AS person FROM preferences
    UNION
    SELECT query_key, feedback_id, coalesce(user_id, session_id) FROM withdrawals
)
SELECT query_key, feedback_id, coalesce(user_id, session_id) AS person FROM feedback
UNION ALL
FROM side_by_side
ANTI JOIN feedback
    ON  feedback.feedback_id = side_by_side.feedback_id
    AND feedback.query_key = side_by_side.query_key
    AND coalesce(feedback.user_id, feedback.session_id) IS NOT DISTINCT FROM side_by_side.person;

-- Votes between answers of two known models. Of a person's votes on the same two answers the last one counts; votes of
-- nobody known each stand for a person of their own.
CREATE OR REPLACE VIEW model_votes AS
SELECT
    model_left,
    model_right,
    verdict,
    coalesce(user_id, session_id, 'row ' || feedback_id) AS person,
    length(response_left)                                AS length_left,
    length(response_right)                               AS length_right,
    occurred_at,
    ingestion,
    position,
    feedback_id
FROM feedback_comparisons
WHERE model_left <> model_right
QUALIFY row_number() OVER (
    PARTITION BY
        person, query_key,
        least(response_left_digest, response_right_digest), greatest(response_left_digest, response_right_digest)
    ORDER BY occurred_at DESC NULLS LAST, ingestion DESC, position DESC, feedback_id DESC
) = 1;

-- Rows that did not pass, whole where they can be, with the reason. Nothing is thrown away.
CREATE TABLE IF NOT EXISTS feedback_quarantine (
    row_digest     VARCHAR NOT NULL,    -- keyed; behind it, from the second equal row of a source on, its number
    source         VARCHAR NOT NULL,
    position       BIGINT  NOT NULL,
    reason         VARCHAR NOT NULL,    -- a code of feedback/reasons.py
    detail         VARCHAR NOT NULL,    -- for people: which column, which value
    raw            VARCHAR,             -- the row's fields as JSON; NULL where it could not be read as such
    quarantined_at TIMESTAMP NOT NULL
);

-- What each ingestion read, so that rows in = accepted + quarantined + duplicates can be checked for ever.
CREATE TABLE IF NOT EXISTS ingestions (
    ingestion     BIGINT NOT NULL,
    source        VARCHAR NOT NULL,
    ingested_at   TIMESTAMP NOT NULL,
    rows_in       BIGINT NOT NULL,
    accepted      BIGINT NOT NULL,
    quarantined   BIGINT NOT NULL,
    duplicates    BIGINT NOT NULL
);

-- What was last read of the tables of the chatbot's file, so that rows that are new, changed or gone are found.
CREATE TABLE IF NOT EXISTS source_blocks (
    source    VARCHAR   NOT NULL,
    block     BIGINT    NOT NULL,       -- the rowid without its last three digits
    signature VARCHAR   NOT NULL,       -- a short digest of all its rows
    positions BIGINT[]  NOT NULL,       -- their rowids
    digests   UBIGINT[] NOT NULL        -- of each row, 32 bits
);

-- Up to which ingestion a derived table has followed the feedback, and with which settings.
CREATE TABLE IF NOT EXISTS derived_tables (
    name      VARCHAR NOT NULL,         -- 'preference_pairs'; the answers follow with them
    ingestion BIGINT  NOT NULL,
    settings  VARCHAR NOT NULL,         -- JSON
    heaviest  DOUBLE  NOT NULL          -- what nobody weighs more than in the training data, in items
);

-- Votes and choices that do not count at present, since the rest of their person's already weighs as much as one may.
CREATE TABLE IF NOT EXISTS set_aside (
    feedback_id VARCHAR NOT NULL,
    query_key   UUID    NOT NULL,
    person      VARCHAR NOT NULL        -- the keyed hash
);

-- Every answer anybody scored: the mean score over raters.
CREATE TABLE IF NOT EXISTS answers (
    query_key       UUID      NOT NULL,
    response_digest UUID      NOT NULL,
    score           DOUBLE    NOT NULL,
    votes           BIGINT    NOT NULL,
    feedback_ids    VARCHAR[] NOT NULL  -- of these votes, in order
);

-- One row a question: its most frequent wording.
CREATE TABLE IF NOT EXISTS queries (
    query_key UUID    NOT NULL,
    prompt    VARCHAR NOT NULL
);

-- The current pairs, and the feedback behind each of them: votes on its answers, choices for and against it.
CREATE TABLE IF NOT EXISTS preference_pairs (
    pair_id      VARCHAR   NOT NULL,    -- 16 hex digits of sha256 over query key and the answers' digests
    query_key    UUID      NOT NULL,
    margin       DOUBLE    NOT NULL,    -- difference of mean scores, or net share of the side-by-side votes
    origin       VARCHAR   NOT NULL,    -- 'ratings', 'choices' or 'both'
    split        VARCHAR   NOT NULL,    -- 'train', 'validation' or 'test', by hash of the query key
    chosen_ids   VARCHAR[] NOT NULL,
    rejected_ids VARCHAR[] NOT NULL,
    choice_ids   VARCHAR[] NOT NULL,
    outvoted_ids VARCHAR[] NOT NULL
);

-- Long texts stand in the warehouse once, with the feedback; what is derived from it says in which row.
CREATE OR REPLACE VIEW answers_with_texts AS
SELECT answers.*, prompt, response
FROM answers
JOIN queries USING (query_key)
JOIN feedback ON feedback.feedback_id = answers.feedback_ids[1];

CREATE OR REPLACE VIEW pairs_with_texts AS
SELECT
    pair_id,
    pair.query_key,
    prompt,
    coalesce(best.response, direct.chosen)    AS chosen,
    coalesce(worst.response, direct.rejected) AS rejected,
    margin,
    origin,
    split
FROM preference_pairs AS pair
JOIN queries ON queries.query_key = pair.query_key
LEFT JOIN feedback AS best ON best.feedback_id = chosen_ids[1]
LEFT JOIN feedback AS worst ON worst.feedback_id = rejected_ids[1]
LEFT JOIN preferences AS direct ON direct.feedback_id = choice_ids[1];

-- Every feedback row behind a pair, and how it came there.
CREATE OR REPLACE VIEW pair_sources AS
SELECT pair_id, query_key, unnest(chosen_ids) AS feedback_id, 'chosen' AS role FROM preference_pairs
UNION ALL
SELECT pair_id, query_key, unnest(rejected_ids), 'rejected' FROM preference_pairs
UNION ALL
SELECT pair_id, query_key, unnest(choice_ids), 'choice' FROM preference_pairs
UNION ALL
SELECT pair_id, query_key, unnest(outvoted_ids), 'outvoted' FROM preference_pairs;

-- sha256 of the text that the tables and views are made by.
CREATE TABLE IF NOT EXISTS schema_text (
    digest VARCHAR NOT NULL
);
