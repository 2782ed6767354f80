SELECT left(sha256(prompt || chr(31) || response), 16) AS example_id, unnest(feedback_ids) AS feedback_id
FROM answers
JOIN queries USING (query_key)
ORDER BY example_id, feedback_id;
