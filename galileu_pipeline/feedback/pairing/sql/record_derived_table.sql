INSERT INTO derived_tables (name, settings, ingestion)
SELECT 'preference_pairs', $settings, coalesce(max(ingestion), 0) FROM ingestions;
