-- One digest of all accepted feedback; it does not depend on the order in which rows came. A digest of digests, so that
-- parts are sorted side by side.
WITH parts AS (
    SELECT left(row_digest, 2) AS part, sha256(string_agg(row_digest, '' ORDER BY row_digest)) AS digest
    FROM (
        SELECT row_digest FROM feedback
        UNION ALL
        SELECT row_digest FROM feedback_choices
        UNION ALL
        SELECT row_digest FROM feedback_comparisons
    )
    GROUP BY part
)
SELECT sha256(coalesce(string_agg(digest, '' ORDER BY part), ''))
FROM parts;
