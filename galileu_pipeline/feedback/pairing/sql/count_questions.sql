-- The questions that have a pair.
SELECT count(DISTINCT query_key) FROM preference_pairs;
