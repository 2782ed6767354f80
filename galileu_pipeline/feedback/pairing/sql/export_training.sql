-- Answers that people rated well, best first within a question.
SELECT prompt, response AS completion, score, votes
FROM answers
JOIN queries USING (query_key)
WHERE score >= $min_score
ORDER BY query_key, score DESC, response_digest;
