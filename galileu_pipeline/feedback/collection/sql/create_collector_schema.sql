-- The chatbot's own file: the guide's two tables, and what this project adds to them. Every statement can be repeated.
-- A row is never changed: a later vote of the same person on the same answer stands in place of the earlier ones
-- (standing_feedback), which stay as its history.
CREATE TABLE IF NOT EXISTS feedback (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp        TEXT NOT NULL,     -- ISO 8601, UTC
    session_id       TEXT,
    query            TEXT NOT NULL,
    response         TEXT NOT NULL,
    rating           INTEGER,           -- 1 to 5
    thumbs_up        BOOLEAN,
    comment          TEXT,
    source_documents TEXT,              -- JSON
    metadata         TEXT,              -- JSON
    feedback_id      TEXT,              -- made by the client, so that sending twice stores once
    user_id          TEXT               -- a keyed hash
);

CREATE TABLE IF NOT EXISTS preference_pairs (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp         TEXT NOT NULL,
    query             TEXT NOT NULL,
    response_chosen   TEXT NOT NULL,
    response_rejected TEXT NOT NULL,
    reason            TEXT,
    metadata          TEXT,
    feedback_id       TEXT,
    session_id        TEXT,
    user_id           TEXT
);

-- Every vote between two answers side by side, also those that make no pair: a tie, or both bad.
CREATE TABLE IF NOT EXISTS comparisons (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp      TEXT NOT NULL,
    query          TEXT NOT NULL,
    response_left  TEXT NOT NULL,
    response_right TEXT NOT NULL,
    model_left     TEXT,
    model_right    TEXT,
    verdict        TEXT NOT NULL CHECK (verdict IN ('left', 'right', 'tie', 'both_bad')),
    reason         TEXT,
    metadata       TEXT,
    feedback_id    TEXT,
    session_id     TEXT,
    user_id        TEXT
);
