-- At most one pair a question: its best answer over its worst.
CREATE OR REPLACE TEMP TABLE rated_pairs AS
WITH ranked AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY query_key ORDER BY score DESC, votes DESC, response) AS from_best,
        row_number() OVER (PARTITION BY query_key ORDER BY score, votes DESC, response)      AS from_worst
    FROM answers
)
SELECT
    query_key,
    best.response            AS chosen,
    worst.response           AS rejected,
    best.score - worst.score AS margin,
    best.feedback_ids        AS chosen_ids,
    worst.feedback_ids       AS rejected_ids
FROM ranked AS best
JOIN ranked AS worst USING (query_key)
WHERE best.from_best = 1
    AND worst.from_worst = 1
    AND best.score > worst.score
    AND best.score - worst.score >= coalesce(getvariable('min_margin'), 0);
