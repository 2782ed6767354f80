-- New votes, and newer states of votes. Returns how many. No identity stands twice in a layer.
INSERT INTO feedback BY NAME
SELECT
    feedback_id, $source AS source, position, $ingestion AS ingestion, occurred_at, session_id, user_id, query,
    query_key, response, response_digest, rating, thumbs_up, score, comment, source_documents, metadata, repaired, masked,
    row_digest
FROM judged_rows
ANTI JOIN (FROM met_rows WHERE outcome <> 'newer') AS met USING (ordinal)
WHERE fault IS NULL AND kind = 'vote';
