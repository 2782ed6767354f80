-- Up to which ingestion pairs and answers have followed the feedback with these settings, and what nobody weighs more than in
-- them. Both 0 where they have not.
SELECT coalesce(max(ingestion), 0), coalesce(max(heaviest), 0)
FROM derived_tables
WHERE name = 'preference_pairs' AND settings = $settings;
