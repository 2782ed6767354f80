-- Of the answers good enough to imitate.
WITH good AS (
    SELECT example_id, query_key, feedback_ids
    FROM read_parquet($pairs || '/answers.parquet') AS answers
    WHERE score >= $min_score
),
question_rows AS (
    FROM read_parquet($pairs || '/question_rows.parquet') AS question_rows
),
votes AS (
    SELECT example_id AS item_id, query_key, feedback_id, person, 'answer' AS role
    FROM (SELECT example_id, query_key, unnest(feedback_ids) AS feedback_id FROM good)
    JOIN question_rows USING (query_key, feedback_id)
),
context AS (
    SELECT item_id, query_key, feedback_id, person, 'context' AS role
    FROM question_rows
    JOIN (SELECT query_key, min(example_id) AS item_id FROM good GROUP BY query_key) USING (query_key)
    ANTI JOIN votes USING (query_key, feedback_id)
)
SELECT item_id, feedback_id, person, role
FROM (FROM votes UNION ALL FROM context)
ORDER BY item_id, role, feedback_id;
