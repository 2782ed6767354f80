-- Which columns each file has, so that files of earlier versions are told apart without reading their rows.
SELECT file_name, list(name)
FROM parquet_schema(coalesce(getvariable('files'), ['sources.parquet']))
GROUP BY file_name;
