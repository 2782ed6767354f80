-- Every vote and every choice that counts, by question.
SELECT DISTINCT query_key, feedback_id, person
FROM (
    SELECT query_key, feedback_id, coalesce(user_id, session_id) AS person FROM feedback
    UNION ALL
    SELECT query_key, feedback_id, coalesce(user_id, session_id) FROM preferences
    UNION ALL
    SELECT query_key, feedback_id, coalesce(user_id, session_id) FROM withdrawals
)
ANTI JOIN set_aside USING (feedback_id)
ORDER BY query_key, feedback_id;
