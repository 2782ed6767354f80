-- Whether anybody may weigh beyond the limit (weigh_rows.sql, set_aside_excess.sql). To weigh every row takes far longer, and
-- hardly ever is there need: of its example a vote weighs one item at most, of each pair it is in two, and a choice that
-- has the same id two more. Who gave a single row keeps it in any case.
-- Variables: most_pairs, the pairs that a vote may be in; max_person_share, sft_min_score, test_fraction,
-- validation_fraction.
WITH given AS (
    SELECT coalesce(user_id, session_id) AS person FROM feedback
    UNION ALL
    SELECT coalesce(user_id, session_id) FROM preferences
),
busiest AS (
    SELECT count(*) AS given_rows FROM given WHERE person IS NOT NULL GROUP BY person ORDER BY given_rows DESC LIMIT 1
),
items AS (
    SELECT
        2 * (SELECT count(*) FROM preference_pairs WHERE split = 'train')
        + (
            SELECT count(*) FROM answers
            WHERE split_of(query_key) = 'train' AND score >= getvariable('sft_min_score')
        ) AS total
)
SELECT
    given_rows > 1
    AND given_rows * (3 + 2 * getvariable('most_pairs')) > greatest(3, getvariable('max_person_share') * total)
FROM busiest, items;
