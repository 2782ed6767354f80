-- What each person weighs in the training data, in items (weigh_rows.sql says what that is), counted in the files of
-- `preference_pairs`. The heaviest first; rows of nobody known are left out. Beside each: the number of all items.
WITH pairs AS (
    SELECT pair_id, split FROM read_parquet($pairs || '/preference_pairs.parquet') AS preference_pairs
),
examples AS (
    SELECT query_key, unnest(feedback_ids) AS feedback_id, len(feedback_ids) AS votes
    FROM read_parquet($pairs || '/answers.parquet') AS answers
    WHERE score >= $min_score AND split = 'train'
),
shares AS (
    SELECT person, feedback_id, 2.0 / count(*) OVER (PARTITION BY pair_id) AS share
    FROM read_parquet($pairs || '/pair_sources.parquet') AS pair_sources
    JOIN pairs USING (pair_id)
    WHERE split = 'train' AND role IN ('chosen', 'rejected', 'choice')
    UNION ALL
    SELECT person, feedback_id, 1.0 / votes
    FROM examples
    JOIN read_parquet($pairs || '/question_rows.parquet') AS question_rows USING (query_key, feedback_id)
)
SELECT
    person,
    round(fsum(share), 6)                        AS weight,
    count(DISTINCT feedback_id)                  AS votes,
    (SELECT round(fsum(share), 6) FROM shares)   AS items
FROM shares
WHERE person IS NOT NULL
GROUP BY person
ORDER BY weight DESC, person
LIMIT $most;
