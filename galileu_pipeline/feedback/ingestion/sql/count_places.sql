-- How many JSON objects of a batch (raw_rows: row) have something at a place.
SELECT count(CASE WHEN json_valid(row) THEN nullif(json_type(row, $path), 'NULL') END)
FROM raw_rows;
