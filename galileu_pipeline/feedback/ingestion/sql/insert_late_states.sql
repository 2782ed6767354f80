-- States that were older than the one that stands when they came. Returns how many.
INSERT INTO feedback_history BY NAME
SELECT
    kind, feedback_id, $source AS source, position, $ingestion AS ingestion, occurred_at, session_id, user_id, query_key,
    row_digest,
    json_object(
        'query', query, 'response', response, 'rating', rating, 'thumbs_up', thumbs_up, 'comment', comment,
        'chosen', chosen, 'rejected', rejected, 'response_left', response_left, 'response_right', response_right,
        'model_left', model_left, 'model_right', model_right, 'verdict', verdict, 'reason', reason,
        'source_documents', source_documents, 'metadata', metadata
    )::VARCHAR AS state,
    'late'     AS cause,
    $ingestion AS ended_in
FROM judged_rows
SEMI JOIN (FROM met_rows WHERE outcome = 'older') AS met USING (ordinal);
