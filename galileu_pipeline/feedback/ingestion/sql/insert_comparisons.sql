-- New side-by-side votes, ties among them: those already here passed over; no identity stands twice in a batch. Returns how many.
-- Which are here is asked from the small side: the table is scanned once a batch, never hashed.
INSERT INTO feedback_comparisons BY NAME
WITH here AS MATERIALIZED (
    SELECT feedback_id
    FROM feedback_comparisons
    SEMI JOIN judged_rows USING (feedback_id)
)
SELECT
    feedback_id, $source AS source, position, $ingestion AS ingestion, occurred_at, session_id, user_id, query,
    query_key, response_left, response_right, model_left, model_right, verdict, reason, metadata, repaired, masked,
    left(sha256(concat_ws('|', feedback_id, query_digest, response_left_digest, response_right_digest, verdict)), 32) AS row_digest
FROM judged_rows
ANTI JOIN here USING (feedback_id)
WHERE fault IS NULL AND kind = 'comparison';
