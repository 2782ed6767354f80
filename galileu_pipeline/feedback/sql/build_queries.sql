-- One row a question: its most frequent wording, and its side of the split (create_split_macro.sql).
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
SELECT query_key, query AS prompt, split_of(query_key) AS split
FROM wordings;
