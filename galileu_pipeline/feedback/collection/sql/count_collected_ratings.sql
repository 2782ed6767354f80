SELECT rating, count(*) FROM standing_feedback WHERE rating IS NOT NULL GROUP BY rating ORDER BY rating;
