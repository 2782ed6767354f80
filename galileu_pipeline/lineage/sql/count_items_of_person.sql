-- The items (pairs or examples) that a person's rows are behind, and all items. Parameters: file, person.
SELECT
    count(DISTINCT item_id) FILTER (person = $person),
    count(DISTINCT item_id)
FROM read_parquet($file);
