SELECT pair_id, query_key, prompt, chosen, rejected, margin, origin, split
FROM pairs_with_texts
ORDER BY query_key, pair_id;
