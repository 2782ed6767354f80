INSERT INTO derived_tables (name, settings, ingestion, heaviest)
SELECT 'preference_pairs', $settings, coalesce(max(ingestion), 0), $heaviest FROM ingestions;
