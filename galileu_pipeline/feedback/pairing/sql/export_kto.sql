-- Answers that people found good, and those they found as bad; what lies between says neither.
SELECT prompt, response AS completion, score >= $min_score AS label
FROM answers_with_texts
WHERE score >= $min_score OR score <= 1 - $min_score
ORDER BY query_key, score DESC, response_digest;
