-- What people said of two models ($one, $other) side by side, in the order in which they said it: 1 where the answer of
-- $one was preferred, 0 where that of $other was, a half where neither was. Of a person's votes on the same two answers
-- the last one counts.
SELECT
    CASE
        WHEN verdict NOT IN ('left', 'right')                  THEN 0.5
        WHEN (verdict = 'left') = (model_left = $one)          THEN 1.0
        ELSE 0.0
    END     AS points,
    verdict
FROM feedback_comparisons
WHERE (model_left = $one AND model_right = $other) OR (model_left = $other AND model_right = $one)
QUALIFY row_number() OVER (
    PARTITION BY
        coalesce(user_id, session_id, 'row ' || feedback_id), query_key,
        least(response_left_digest, response_right_digest), greatest(response_left_digest, response_right_digest)
    ORDER BY occurred_at DESC NULLS LAST, ingestion DESC, position DESC, feedback_id DESC
) = 1
ORDER BY occurred_at NULLS FIRST, ingestion, position, feedback_id;
