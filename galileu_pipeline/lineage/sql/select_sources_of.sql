-- The feedback behind some items of one file.
SELECT COLUMNS('^(item_id|pair_id)$') AS item_id, feedback_id, person, role
FROM read_parquet(coalesce(getvariable('source'), 'sources.parquet'))
WHERE item_id IN (SELECT unnest(getvariable('items')))
ORDER BY item_id, role, feedback_id;
