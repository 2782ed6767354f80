-- One digest of all feedback that stands, and of its times, since they decide which vote is the last; it does not depend on the order in which rows came. A digest of digests, so that
-- parts are sorted side by side.
WITH parts AS (
    SELECT left(row_digest, 2) AS part, sha256(string_agg(row_digest, '' ORDER BY row_digest)) AS digest
    FROM (
        SELECT concat(row_digest, epoch_us(occurred_at)) AS row_digest FROM feedback
        UNION ALL
        SELECT concat(row_digest, epoch_us(occurred_at)) FROM feedback_choices
        UNION ALL
        SELECT concat(row_digest, epoch_us(occurred_at)) FROM feedback_comparisons
    )
    GROUP BY part
)
SELECT sha256(coalesce(string_agg(digest, '' ORDER BY part), ''))
FROM parts;
