-- The files that hold feedback of a person: how many items it is behind, and how many rows they are.
SELECT filename, count(DISTINCT item_id) AS items, count(DISTINCT feedback_id) AS feedback_rows
FROM read_parquet(coalesce(getvariable('files'), ['sources.parquet']), filename => true)
WHERE person = getvariable('wanted')
GROUP BY filename;
