-- The names in the JSON objects of a batch (raw_rows: row), each once.
SELECT DISTINCT unnest(CASE WHEN json_valid(row) THEN json_keys(row) END) AS name
FROM raw_rows
ORDER BY name;
