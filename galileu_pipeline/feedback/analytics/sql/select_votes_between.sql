-- What people said of two models ($one, $other) side by side, in the order in which they said it: 1 where the answer of
-- $one was preferred, 0 where that of $other was, a half where neither was.
SELECT
    CASE
        WHEN verdict NOT IN ('left', 'right')         THEN 0.5
        WHEN (verdict = 'left') = (model_left = $one) THEN 1.0
        ELSE 0.0
    END AS points,
    verdict
FROM model_votes
WHERE model_left IN ($one, $other) AND model_right IN ($one, $other)
ORDER BY occurred_at NULLS FIRST, ingestion, position, feedback_id;
