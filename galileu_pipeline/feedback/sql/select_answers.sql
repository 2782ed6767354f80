-- Every scored answer with its question, for datasets.
SELECT query_key, prompt, response, score, votes, split, feedback_ids
FROM answers
JOIN queries USING (query_key)
ORDER BY query_key, response;
