-- Up to which ingestion a derived table has followed the feedback with these settings; 0 for not at all.
SELECT coalesce(max(ingestion), 0) FROM derived_tables WHERE name = $name AND settings = $settings;
