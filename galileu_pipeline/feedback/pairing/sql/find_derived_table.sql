-- Up to which ingestion pairs and answers have followed the feedback with these settings; 0 for not at all.
SELECT coalesce(max(ingestion), 0) FROM derived_tables WHERE name = 'preference_pairs' AND settings = $settings;
