-- The rows of a person (parameter), by table.
SELECT 'feedback', feedback_id FROM feedback WHERE coalesce(user_id, session_id) = $person
UNION ALL
SELECT 'feedback_choices', feedback_id FROM feedback_choices WHERE coalesce(user_id, session_id) = $person
UNION ALL
SELECT 'feedback_comparisons', feedback_id FROM feedback_comparisons WHERE coalesce(user_id, session_id) = $person
UNION ALL
SELECT 'feedback_history', feedback_id FROM feedback_history WHERE coalesce(user_id, session_id) = $person
UNION ALL
SELECT 'feedback_quarantine', row_digest
FROM feedback_quarantine
WHERE coalesce(nullif(raw ->> '$.user_id', ''), raw ->> '$.session_id') = $person;
