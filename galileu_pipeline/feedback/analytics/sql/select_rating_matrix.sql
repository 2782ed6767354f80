-- The counts of analytics_rating_counts with the row and the column each has in a matrix of answers by rating values.
SELECT
    dense_rank() OVER (ORDER BY query_key, response) - 1 AS answer,
    dense_rank() OVER (ORDER BY rating) - 1              AS value,
    rating,
    ratings
FROM analytics_rating_counts
ORDER BY answer, value;
