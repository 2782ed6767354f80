-- Events a day (UTC), oldest first: votes, and side-by-side votes.
SELECT day, sum(votes) AS votes, sum(comparisons) AS comparisons
FROM (
    SELECT substr(timestamp, 1, 10) AS day, 1 AS votes, 0 AS comparisons FROM feedback
    UNION ALL
    SELECT substr(timestamp, 1, 10), 0, 1 FROM comparisons
)
GROUP BY day
ORDER BY day;
