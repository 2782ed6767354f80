DELETE FROM preference_pairs;
INSERT INTO preference_pairs BY NAME
SELECT pair_id, query_key, prompt, chosen, rejected, margin, origin, split
FROM merged_pairs
JOIN queries USING (query_key);
