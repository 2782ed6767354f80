-- All accepted feedback under the names it is imported by: votes, choices, comparisons.
SELECT
    feedback_id,
    strftime(occurred_at, '%Y-%m-%dT%H:%M:%S.%fZ') AS timestamp,
    session_id,
    user_id,
    query,
    response,
    rating,
    thumbs_up,
    comment,
    response_chosen,
    response_rejected,
    response_left,
    response_right,
    model_left,
    model_right,
    verdict,
    reason,
    source_documents,
    metadata
FROM (
    SELECT *, 1 AS kind FROM feedback
    UNION ALL BY NAME
    SELECT * RENAME (chosen AS response_chosen, rejected AS response_rejected), 2 AS kind FROM feedback_choices
    UNION ALL BY NAME
    SELECT *, 3 AS kind FROM feedback_comparisons
)
-- In one file the later row is the later vote, so the order stays that of the votes.
ORDER BY kind, occurred_at, ingestion, position, feedback_id;
