-- Every two answers of a touched question whose mean scores differ.
CREATE OR REPLACE TEMP TABLE rated_pairs AS
SELECT
    query_key,
    better.response_digest     AS chosen_digest,
    worse.response_digest      AS rejected_digest,
    better.score - worse.score AS margin,
    better.feedback_ids        AS chosen_ids,
    worse.feedback_ids         AS rejected_ids
FROM answers AS better
JOIN answers AS worse USING (query_key)
SEMI JOIN touched USING (query_key)
WHERE better.score > worse.score
    AND better.score - worse.score >= coalesce(getvariable('min_margin'), 0);
