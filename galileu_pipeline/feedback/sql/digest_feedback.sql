-- One digest of all accepted feedback; it does not depend on the order in which rows came.
SELECT sha256(coalesce(string_agg(row_digest, '' ORDER BY row_digest), ''))
FROM (
    SELECT row_digest FROM feedback
    UNION ALL
    SELECT row_digest FROM feedback_choices
    UNION ALL
    SELECT row_digest FROM feedback_comparisons
);
