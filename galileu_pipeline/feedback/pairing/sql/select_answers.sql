-- Scored answers with their questions and sides of the split.
SELECT
    left(sha256(prompt || chr(31) || response), 16) AS example_id,
    query_key,
    prompt,
    response,
    score,
    votes,
    split_of(query_key)                             AS split
FROM answers
JOIN queries USING (query_key)
ORDER BY query_key, response;
