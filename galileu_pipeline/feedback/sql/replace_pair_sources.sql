DELETE FROM pair_sources;
INSERT INTO pair_sources BY NAME
SELECT pair_id, unnest(chosen_ids) AS feedback_id, 'chosen' AS role FROM merged_pairs
UNION ALL
SELECT pair_id, unnest(rejected_ids), 'rejected' FROM merged_pairs
UNION ALL
SELECT pair_id, unnest(choice_ids), 'choice' FROM merged_pairs
UNION ALL
SELECT pair_id, unnest(outvoted_ids), 'outvoted' FROM merged_pairs;
