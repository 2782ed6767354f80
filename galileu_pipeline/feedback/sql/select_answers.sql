-- Scored answers with their questions and sides of the split, for datasets: all of them, or those of one side.
SELECT query_key, prompt, response, score, votes, split_of(query_key) AS split, feedback_ids
FROM answers
JOIN queries USING (query_key)
WHERE $split IS NULL OR split_of(query_key) = $split
ORDER BY query_key, response;
