-- At most one pair a touched question: its best answer over its worst. Of answers as good, the one with more votes.
CREATE OR REPLACE TEMP TABLE rated_pairs AS
WITH ranked AS (
    SELECT
        query_key,
        response_digest,
        score,
        feedback_ids,
        row_number() OVER (PARTITION BY query_key ORDER BY score DESC, votes DESC, response_digest) AS from_best,
        row_number() OVER (PARTITION BY query_key ORDER BY score, votes DESC, response_digest)      AS from_worst
    FROM answers
    SEMI JOIN touched USING (query_key)
)
SELECT
    query_key,
    best.response_digest     AS chosen_digest,
    worst.response_digest    AS rejected_digest,
    best.score - worst.score AS margin,
    best.feedback_ids        AS chosen_ids,
    worst.feedback_ids       AS rejected_ids
FROM ranked AS best
JOIN ranked AS worst USING (query_key)
WHERE best.from_best = 1
    AND worst.from_worst = 1
    AND best.score > worst.score
    AND best.score - worst.score >= coalesce(getvariable('min_margin'), 0);
