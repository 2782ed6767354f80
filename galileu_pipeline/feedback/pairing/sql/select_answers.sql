-- Answers that are good enough to imitate, or held out to judge models on, with their questions, sides of the split, and
-- the votes in the mean score. The id: 16 hex digits of sha256 over query key and the answer's digest.
-- Variables: sft_min_score, test_fraction, validation_fraction.
SELECT
    left(sha256(concat_ws('|', query_key, response_digest)), 16) AS example_id,
    query_key,
    prompt,
    response,
    score,
    votes,
    split_of(query_key)                                          AS split,
    feedback_ids
FROM answers_with_texts
WHERE score >= getvariable('sft_min_score') OR split = 'test'
ORDER BY query_key, response_digest;
