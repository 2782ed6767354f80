-- The rows of a batch (parquet_rows), each as one JSON object.
SELECT to_json(parquet_rows)::VARCHAR AS row
FROM parquet_rows;
