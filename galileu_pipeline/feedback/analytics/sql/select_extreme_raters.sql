-- The strictest and the most lenient raters, `top` of each, the strictest first. Raters with too few votes beside
-- others' come after those whose deviation means something, and are ranked by their mean score.
WITH eligible AS (
    SELECT
        *,
        compared_votes >= coalesce(getvariable('min_votes'), 3)              AS is_compared,
        CASE WHEN is_compared THEN mean_deviation ELSE mean_score END        AS strictness
    FROM analytics_rater_strictness
    WHERE votes >= coalesce(getvariable('min_votes'), 3)
),
ranked AS (
    SELECT
        *,
        row_number() OVER (ORDER BY is_compared DESC, strictness, votes DESC, rater)      AS from_strictest,
        row_number() OVER (ORDER BY is_compared DESC, strictness DESC, votes DESC, rater) AS from_most_lenient
    FROM eligible
)
SELECT rater, votes, mean_score, compared_votes, mean_deviation, bad_share
FROM ranked
WHERE least(from_strictest, from_most_lenient) <= coalesce(getvariable('top'), 10)
ORDER BY from_strictest;
