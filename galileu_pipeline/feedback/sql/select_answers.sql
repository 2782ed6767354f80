-- Every scored answer with its question and side of the split, for datasets.
SELECT query_key, prompt, response, score, votes, split_of(query_key) AS split, feedback_ids
FROM answers
JOIN queries USING (query_key)
ORDER BY query_key, response;
