SELECT origin, split, count(*) FROM preference_pairs GROUP BY origin, split ORDER BY origin, split;
