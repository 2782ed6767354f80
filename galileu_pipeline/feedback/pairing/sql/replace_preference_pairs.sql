-- The pairs of touched questions with their texts, and the feedback behind each, in place of the earlier ones.
DELETE FROM pair_sources
WHERE pair_id IN (SELECT pair_id FROM preference_pairs WHERE query_key IN (FROM touched));
DELETE FROM preference_pairs WHERE query_key IN (FROM touched);
INSERT INTO preference_pairs BY NAME
WITH unrated AS (
    SELECT query_key, digest, any_value(text) AS text
    FROM (
        SELECT query_key, chosen_digest AS digest, chosen AS text FROM preferences
        UNION ALL
        SELECT query_key, rejected_digest, rejected FROM preferences
    )
    SEMI JOIN touched USING (query_key)
    GROUP BY query_key, digest
)
SELECT
    pair_id,
    pair.query_key,
    prompt,
    coalesce(chosen.response, unrated_chosen.text)     AS chosen,
    coalesce(rejected.response, unrated_rejected.text) AS rejected,
    margin,
    origin,
    split_of(pair.query_key) AS split
FROM merged_pairs AS pair
JOIN queries ON queries.query_key = pair.query_key
LEFT JOIN answers AS chosen
    ON chosen.query_key = pair.query_key AND chosen.response_digest = chosen_digest
LEFT JOIN answers AS rejected
    ON rejected.query_key = pair.query_key AND rejected.response_digest = rejected_digest
LEFT JOIN unrated AS unrated_chosen
    ON unrated_chosen.query_key = pair.query_key AND unrated_chosen.digest = chosen_digest
LEFT JOIN unrated AS unrated_rejected
    ON unrated_rejected.query_key = pair.query_key AND unrated_rejected.digest = rejected_digest;
INSERT INTO pair_sources BY NAME
SELECT pair_id, unnest(chosen_ids) AS feedback_id, 'chosen' AS role FROM merged_pairs
UNION ALL
SELECT pair_id, unnest(rejected_ids), 'rejected' FROM merged_pairs
UNION ALL
SELECT pair_id, unnest(choice_ids), 'choice' FROM merged_pairs
UNION ALL
SELECT pair_id, unnest(outvoted_ids), 'outvoted' FROM merged_pairs;
