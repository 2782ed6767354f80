-- Sets aside what people weigh beyond the limit (limit_weights.sql). Of a person's rows, question by question in an order
-- drawn by hash, those up to the limit stay, the first in any case. The questions of what was set aside are in `touched`
-- afterwards. Variables: weight_limit.
CREATE OR REPLACE TEMP TABLE excess AS
WITH heavy AS (
    SELECT person FROM weights GROUP BY person HAVING fsum(weight) > getvariable('weight_limit')
),
running AS (
    SELECT
        feedback_id,
        query_key,
        person,
        row_number() OVER in_order AS place,
        sum(weight) OVER in_order  AS total
    FROM weights
    SEMI JOIN heavy USING (person)
    WINDOW in_order AS (
        PARTITION BY person ORDER BY sha256(concat(person, query_key)), feedback_id ROWS UNBOUNDED PRECEDING
    )
)
SELECT feedback_id, query_key, person
FROM running
WHERE place > 1 AND total > getvariable('weight_limit');
INSERT INTO set_aside BY NAME FROM excess;
CREATE OR REPLACE TEMP TABLE touched AS SELECT DISTINCT query_key FROM excess;
