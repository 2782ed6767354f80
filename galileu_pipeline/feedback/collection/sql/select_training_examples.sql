-- Standing votes that rate an answer well enough to imitate it.
SELECT query, response, rating, thumbs_up, comment, timestamp
FROM standing_feedback
WHERE rating >= :min_rating
ORDER BY position;
