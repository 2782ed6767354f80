-- All feedback that stands, and its times, since they decide which vote is the last; the order in which rows came does not
-- matter.
SELECT row_digest, coalesce(epoch_us(occurred_at), -1) AS time
FROM (
    SELECT row_digest, occurred_at FROM feedback
    UNION ALL
    SELECT row_digest, occurred_at FROM feedback_choices
    UNION ALL
    SELECT row_digest, occurred_at FROM feedback_comparisons
)
ORDER BY row_digest, time;
