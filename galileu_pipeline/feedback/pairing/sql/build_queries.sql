-- One row a touched question: its most frequent wording.
DELETE FROM queries WHERE query_key IN (FROM touched);
INSERT INTO queries BY NAME
SELECT query_key, query AS prompt
FROM (
    SELECT feedback_id, query_key, query FROM feedback
    UNION ALL
    SELECT feedback_id, query_key, query FROM preferences
)
SEMI JOIN touched USING (query_key)
ANTI JOIN set_aside USING (feedback_id)
GROUP BY query_key, query
QUALIFY row_number() OVER (PARTITION BY query_key ORDER BY count(*) DESC, query) = 1;
