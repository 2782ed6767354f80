-- The feedback behind each pair. What else people said about its question stands beside the question's first pair: it
-- helped to decide which answers are compared and how the question is worded.
WITH given AS (
    SELECT query_key, feedback_id, coalesce(user_id, session_id) AS person FROM feedback
    UNION ALL
    SELECT query_key, feedback_id, coalesce(user_id, session_id) FROM preferences
    UNION ALL
    SELECT query_key, feedback_id, coalesce(user_id, session_id) FROM withdrawals
),
named AS (
    SELECT pair_id, query_key, feedback_id, role
    FROM pair_sources
    JOIN preference_pairs USING (pair_id)
),
context AS (
    SELECT pair_id, query_key, feedback_id, 'context' AS role
    FROM given
    JOIN (SELECT query_key, min(pair_id) AS pair_id FROM preference_pairs GROUP BY query_key) USING (query_key)
    ANTI JOIN set_aside USING (feedback_id)
    ANTI JOIN named USING (query_key, feedback_id)
)
SELECT DISTINCT pair_id, feedback_id, person, role
FROM (FROM named UNION ALL FROM context)
JOIN given USING (query_key, feedback_id)
ORDER BY pair_id, role, feedback_id;
