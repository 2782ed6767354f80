-- The rows of feedback that are behind one side alone. `before` and `after` name files, and may share some.
CREATE OR REPLACE TEMP TABLE changed_rows AS
WITH known AS (
    SELECT
        feedback_id,
        max(person) AS person,
        bool_or(list_contains(coalesce(getvariable('before'), ['before.parquet']), filename)) AS held_before,
        bool_or(list_contains(coalesce(getvariable('after'), ['after.parquet']), filename)) AS held_after
    FROM read_parquet(coalesce(getvariable('files'), ['before.parquet', 'after.parquet']), filename => true)
    GROUP BY feedback_id
)
SELECT feedback_id, person, held_after AS added
FROM known
WHERE held_before <> held_after;
