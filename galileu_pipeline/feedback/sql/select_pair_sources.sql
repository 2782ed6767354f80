SELECT pair_id, feedback_id, role
FROM pair_sources
ORDER BY pair_id, role, feedback_id;
