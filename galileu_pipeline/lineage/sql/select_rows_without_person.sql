SELECT * FROM read_parquet($file) WHERE person IS DISTINCT FROM $person;
