-- The rows of a batch (parquet_rows), each as one JSON object. By a name that no column has, which would be taken instead.
SELECT to_json("a row of the file")::VARCHAR AS row
FROM parquet_rows AS "a row of the file";
