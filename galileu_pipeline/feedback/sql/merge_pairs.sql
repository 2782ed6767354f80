-- Rated pairs and chosen pairs as one. Where both speak about the same two answers the direct comparison decides the
-- side, and the rated pair joins it only if it agrees.
CREATE OR REPLACE TEMP TABLE merged_pairs AS
WITH joined AS (
    SELECT
        coalesce(direct.query_key, rated.query_key) AS query_key,
        coalesce(direct.chosen, rated.chosen)       AS chosen,
        coalesce(direct.rejected, rated.rejected)   AS rejected,
        coalesce(direct.margin, rated.margin)       AS margin,
        CASE
            WHEN direct.chosen IS NULL THEN 'ratings'
            WHEN rated.chosen = direct.chosen THEN 'both'
            ELSE 'choices'
        END AS origin,
        CASE WHEN origin <> 'choices' THEN rated.chosen_ids END   AS chosen_ids,
        CASE WHEN origin <> 'choices' THEN rated.rejected_ids END AS rejected_ids,
        direct.choice_ids,
        direct.outvoted_ids
    FROM chosen_pairs AS direct
    FULL JOIN rated_pairs AS rated
        ON  direct.query_key = rated.query_key
        AND least(direct.chosen, direct.rejected) = least(rated.chosen, rated.rejected)
        AND greatest(direct.chosen, direct.rejected) = greatest(rated.chosen, rated.rejected)
)
SELECT
    left(sha256(query_key || chr(31) || chosen || chr(31) || rejected), 16) AS pair_id,
    *
FROM joined
QUALIFY row_number() OVER (
    PARTITION BY query_key
    ORDER BY origin = 'ratings', margin DESC, pair_id
) <= coalesce(getvariable('max_pairs_per_query'), 1000000);
