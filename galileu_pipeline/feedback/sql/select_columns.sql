-- The columns of all tables and their types.
SELECT table_name, column_name, data_type
FROM duckdb_columns()
WHERE database_name = current_database() AND NOT internal;
