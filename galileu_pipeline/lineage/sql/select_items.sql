-- The items of one file (all, or the first `most` by id) with the feedback behind each, and their side of the split.
-- Where `splits` names no file of a split, or an item is in neither, its side is NULL.
WITH sources AS (
    SELECT COLUMNS('^(item_id|pair_id)$') AS item_id, feedback_id, person, role
    FROM read_parquet(coalesce(getvariable('source'), 'sources.parquet'))
),
shown AS (
    SELECT DISTINCT item_id FROM sources ORDER BY item_id LIMIT getvariable('most')
),
sides AS (
    SELECT DISTINCT COLUMNS('^(item_id|pair_id|example_id)$') AS item_id, parse_filename(filename, true) AS side
    FROM read_parquet(coalesce(getvariable('splits'), ['train.parquet', 'test.parquet']), filename => true)
)
SELECT item_id, side, feedback_id, person, role
FROM shown
JOIN sources USING (item_id)
LEFT JOIN (FROM sides WHERE side IN ('train', 'validation', 'test')) USING (item_id)
ORDER BY item_id, role, feedback_id;
