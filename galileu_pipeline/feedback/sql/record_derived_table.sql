INSERT INTO derived_tables (name, settings, ingestion)
SELECT $name, $settings, coalesce(max(ingestion), 0) FROM ingestions;
