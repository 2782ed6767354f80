SELECT pair_id AS item_id, feedback_id, person, role
FROM read_parquet($pairs || '/pair_sources.parquet')
ORDER BY item_id, role, feedback_id;
