-- New votes between two answers, ties among them, and newer states of them. Returns how many. No identity stands twice in a layer.
INSERT INTO feedback_comparisons BY NAME
SELECT
    feedback_id, $source AS source, position, $ingestion AS ingestion, occurred_at, session_id, user_id, query,
    query_key, response_left, response_right, response_left_digest, response_right_digest, model_left, model_right, verdict, reason, metadata, repaired, masked,
    row_digest
FROM judged_rows
ANTI JOIN (FROM met_rows WHERE outcome <> 'newer') AS met USING (ordinal)
WHERE fault IS NULL AND kind = 'comparison';
