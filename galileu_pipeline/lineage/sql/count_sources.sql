-- Rows of feedback, people and items (pairs or examples) by the files that hold them. `holders` has a bit for each file in
-- the order of `files` (126 at most). What several files hold is found once, so that the files can be counted each and
-- all together.
WITH sources AS (
    SELECT
        feedback_id,
        person,
        COLUMNS('^(item_id|pair_id)$') AS item_id,
        1::HUGEINT << (list_position(coalesce(getvariable('files'), ['sources.parquet']), filename) - 1) AS holder
    FROM read_parquet(coalesce(getvariable('files'), ['sources.parquet']), filename => true)
)
SELECT 'rows', holders, count(*)
FROM (SELECT bit_or(holder) AS holders FROM sources GROUP BY feedback_id)
GROUP BY holders
UNION ALL
SELECT 'people', holders, count(*)
FROM (SELECT bit_or(holder) AS holders FROM sources WHERE person IS NOT NULL GROUP BY person)
GROUP BY holders
UNION ALL
SELECT 'items', holders, count(*)
FROM (SELECT bit_or(holder) AS holders FROM sources GROUP BY item_id)
GROUP BY holders;
