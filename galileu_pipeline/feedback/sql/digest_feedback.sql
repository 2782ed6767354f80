-- One digest of all accepted feedback; it does not depend on the order in which rows came.
WITH row_digests AS (
    SELECT sha256(to_json({id: feedback_id, q: query, r: response, s: score, c: comment, u: user_id})::VARCHAR) AS digest
    FROM feedback
    UNION ALL
    SELECT sha256(to_json({id: feedback_id, q: query, c: chosen, r: rejected, u: user_id})::VARCHAR)
    FROM feedback_choices
)
SELECT sha256(coalesce(string_agg(digest, '' ORDER BY digest), ''))
FROM row_digests;
