-- The pairs of touched questions in place of the earlier ones.
DELETE FROM preference_pairs WHERE query_key IN (FROM touched);
INSERT INTO preference_pairs BY NAME
SELECT
    pair_id, query_key, margin, origin, split_of(query_key) AS split, chosen_ids, rejected_ids, choice_ids, outvoted_ids
FROM merged_pairs
SEMI JOIN queries USING (query_key);
