SELECT pair_id, query_key, prompt, chosen, rejected, margin, origin, split
FROM preference_pairs
ORDER BY query_key, pair_id;
