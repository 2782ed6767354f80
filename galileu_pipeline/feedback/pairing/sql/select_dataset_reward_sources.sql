-- Of the pairs, and of the held-out answers that are compared with the rewards.
WITH held_out AS (
    SELECT example_id, query_key, feedback_ids
    FROM read_parquet($pairs || '/answers.parquet') AS answers
    WHERE split = 'test'
),
question_rows AS (
    FROM read_parquet($pairs || '/question_rows.parquet') AS question_rows
),
votes AS (
    SELECT example_id AS item_id, query_key, feedback_id, person, 'held_out' AS role
    FROM (SELECT example_id, query_key, unnest(feedback_ids) AS feedback_id FROM held_out)
    JOIN question_rows USING (query_key, feedback_id)
),
context AS (
    SELECT item_id, query_key, feedback_id, person, 'context' AS role
    FROM question_rows
    JOIN (SELECT query_key, min(example_id) AS item_id FROM held_out GROUP BY query_key) USING (query_key)
    ANTI JOIN votes USING (query_key, feedback_id)
)
SELECT item_id, feedback_id, person, role
FROM (
    SELECT pair_id AS item_id, feedback_id, person, role
    FROM read_parquet($pairs || '/pair_sources.parquet') AS pair_sources
    UNION ALL
    SELECT item_id, feedback_id, person, role FROM votes
    UNION ALL
    SELECT item_id, feedback_id, person, role FROM context
)
ORDER BY item_id, role, feedback_id;
