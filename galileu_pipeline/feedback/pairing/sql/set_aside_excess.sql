-- Sets aside what people weigh beyond the limit: `max_person_share` of all items, or one pair with its example (three
-- items) if that is more. Of a person's rows, question by question in an order drawn by hash, those up to the limit stay,
-- the first in any case. Rows of nobody known each stand for a person of their own. The questions of what was set aside
-- are in `touched` afterwards.
CREATE OR REPLACE TEMP TABLE excess AS
WITH given AS (
    SELECT feedback_id, query_key, coalesce(user_id, session_id) AS person FROM feedback
    UNION ALL
    SELECT feedback_id, query_key, coalesce(user_id, session_id) FROM preferences
),
weighed AS (
    SELECT feedback_id, query_key, person, weight
    FROM weights
    JOIN given USING (feedback_id)
    WHERE person IS NOT NULL
),
limits AS (
    SELECT greatest(3, getvariable('max_person_share') * fsum(weight)) + 1e-9 AS most FROM weights
),
heavy AS (
    SELECT person FROM weighed GROUP BY person HAVING fsum(weight) > (SELECT most FROM limits)
),
running AS (
    SELECT
        feedback_id,
        query_key,
        person,
        row_number() OVER in_order AS place,
        sum(weight) OVER in_order  AS total
    FROM weighed
    SEMI JOIN heavy USING (person)
    WINDOW in_order AS (
        PARTITION BY person ORDER BY sha256(concat(person, query_key)), feedback_id ROWS UNBOUNDED PRECEDING
    )
)
SELECT feedback_id, query_key, person
FROM running
WHERE place > 1 AND total > (SELECT most FROM limits);
INSERT INTO set_aside BY NAME FROM excess;
CREATE OR REPLACE TEMP TABLE touched AS SELECT DISTINCT query_key FROM excess;
