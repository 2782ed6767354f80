-- The names in the JSON objects of a batch (raw_rows: row), each once.
SELECT DISTINCT unnest(TRY(json_keys(row))) AS name
FROM raw_rows
ORDER BY name;
