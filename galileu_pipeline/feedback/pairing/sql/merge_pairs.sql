-- Rated pairs and chosen pairs as one. Where both speak about the same two answers the direct
-- comparison decides the side, and the rated pair joins it only if it agrees.
CREATE OR REPLACE TEMP TABLE merged_pairs AS
WITH joined AS (
    SELECT
        coalesce(direct.query_key, rated.query_key)             AS query_key,
        coalesce(direct.chosen_digest, rated.chosen_digest)     AS chosen_digest,
        coalesce(direct.rejected_digest, rated.rejected_digest) AS rejected_digest,
        coalesce(direct.margin, rated.margin)                   AS margin,
        CASE
            WHEN direct.chosen_digest IS NULL THEN 'ratings'
            WHEN rated.chosen_digest = direct.chosen_digest THEN 'both'
            ELSE 'choices'
        END AS origin,
        CASE WHEN origin = 'choices' THEN [] ELSE rated.chosen_ids END   AS chosen_ids,
        CASE WHEN origin = 'choices' THEN [] ELSE rated.rejected_ids END AS rejected_ids,
        coalesce(direct.choice_ids, [])                                  AS choice_ids,
        coalesce(direct.outvoted_ids, [])                                AS outvoted_ids
    FROM chosen_pairs AS direct
    FULL JOIN rated_pairs AS rated
        ON  direct.query_key = rated.query_key
        AND least(direct.chosen_digest, direct.rejected_digest) = least(rated.chosen_digest, rated.rejected_digest)
        AND greatest(direct.chosen_digest, direct.rejected_digest)
            = greatest(rated.chosen_digest, rated.rejected_digest)
)
SELECT left(sha256(concat_ws('|', query_key, chosen_digest, rejected_digest)), 16) AS pair_id, *
FROM joined
QUALIFY row_number() OVER (
    PARTITION BY query_key
    ORDER BY origin = 'ratings', margin DESC, pair_id
) <= coalesce(getvariable('max_pairs_per_query'), 1000000);
