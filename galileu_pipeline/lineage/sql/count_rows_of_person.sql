SELECT count(*) FROM read_parquet($file) WHERE person = $person;
