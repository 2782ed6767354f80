-- One row a question: its most frequent wording, and its side of the split. The side hangs on nothing but the key, so
-- it never changes as data grows.
CREATE OR REPLACE TEMP TABLE queries AS
WITH wordings AS (
    SELECT query_key, query, count(*) AS uses
    FROM (
        SELECT query_key, query FROM feedback
        UNION ALL
        SELECT query_key, query FROM feedback_choices
    )
    GROUP BY query_key, query
    QUALIFY row_number() OVER (PARTITION BY query_key ORDER BY uses DESC, query) = 1
)
SELECT
    query_key,
    query AS prompt,
    CASE
        WHEN ('0x' || left(sha256(query_key), 8))::BIGINT / 4294967296.0 < coalesce(getvariable('test_fraction'), 0.2)
        THEN 'test' ELSE 'train'
    END AS split
FROM wordings;
