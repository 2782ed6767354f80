-- The feedback behind each pair. What else people said about its question stands beside the question's first pair: it
-- helped to decide which answers are compared and how the question is worded.
WITH first_pairs AS (
    SELECT query_key, min(pair_id) AS pair_id FROM preference_pairs GROUP BY query_key
),
named AS (
    SELECT pair_sources.pair_id, feedback_id, person, role
    FROM pair_sources
    JOIN given_rows USING (query_key, feedback_id)
),
context AS (
    SELECT pair_id, feedback_id, person, 'context' AS role
    FROM given_rows
    JOIN first_pairs USING (query_key)
    ANTI JOIN set_aside USING (feedback_id)
    ANTI JOIN pair_sources USING (query_key, feedback_id)
)
FROM named
UNION ALL
FROM context
ORDER BY pair_id, role, feedback_id;
