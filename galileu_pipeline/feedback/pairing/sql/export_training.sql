-- Answers that people rated well, best first within a question.
SELECT prompt, response AS completion, score, votes
FROM answers_with_texts
WHERE score >= $min_score
ORDER BY query_key, score DESC, response_digest;
