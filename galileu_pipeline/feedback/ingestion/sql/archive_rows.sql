-- Rows leave the tables for the history (leaving_rows: kind, feedback_id).
-- Variables: cause, ingestion.
CREATE OR REPLACE TEMP MACRO leaving_ids(of_kind) AS TABLE
    SELECT feedback_id FROM leaving_rows WHERE kind = of_kind;
INSERT INTO feedback_history BY NAME
SELECT
    'vote' AS kind, feedback_id, source, position, ingestion, occurred_at, session_id, user_id, query_key, row_digest,
    to_json(feedback)::VARCHAR AS state, getvariable('cause') AS cause, getvariable('ingestion') AS ended_in
FROM feedback
SEMI JOIN leaving_ids('vote') AS leaving USING (feedback_id);
INSERT INTO feedback_history BY NAME
SELECT
    'choice' AS kind, feedback_id, source, position, ingestion, occurred_at, session_id, user_id, query_key, row_digest,
    to_json(feedback_choices)::VARCHAR AS state, getvariable('cause') AS cause, getvariable('ingestion') AS ended_in
FROM feedback_choices
SEMI JOIN leaving_ids('choice') AS leaving USING (feedback_id);
INSERT INTO feedback_history BY NAME
SELECT
    'comparison' AS kind, feedback_id, source, position, ingestion, occurred_at, session_id, user_id, query_key,
    row_digest, to_json(feedback_comparisons)::VARCHAR AS state, getvariable('cause') AS cause,
    getvariable('ingestion') AS ended_in
FROM feedback_comparisons
SEMI JOIN leaving_ids('comparison') AS leaving USING (feedback_id);
DELETE FROM feedback WHERE feedback_id IN (FROM leaving_ids('vote'));
DELETE FROM feedback_choices WHERE feedback_id IN (FROM leaving_ids('choice'));
DELETE FROM feedback_comparisons WHERE feedback_id IN (FROM leaving_ids('comparison'));
