SELECT verdict, count(*) FROM comparisons GROUP BY verdict ORDER BY verdict;
