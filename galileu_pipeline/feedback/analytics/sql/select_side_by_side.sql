-- Every vote between answers of two known models: who said it, which way, and how long the answers are (characters). Of a
-- person's votes on the same two answers the last one counts. Votes of nobody known each stand for a person of their own.
SELECT
    model_left,
    model_right,
    verdict,
    coalesce(user_id, session_id, 'row ' || feedback_id) AS person,
    length(response_left)                                AS length_left,
    length(response_right)                               AS length_right
FROM feedback_comparisons
WHERE model_left <> model_right
QUALIFY row_number() OVER (
    PARTITION BY
        person, query_key,
        least(response_left_digest, response_right_digest), greatest(response_left_digest, response_right_digest)
    ORDER BY occurred_at DESC NULLS LAST, ingestion DESC, position DESC, feedback_id DESC
) = 1
ORDER BY person, query_key, feedback_id;
