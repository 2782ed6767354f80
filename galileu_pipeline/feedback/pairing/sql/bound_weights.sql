-- What nobody weighs more than (weigh_rows.sql), in items, without weighing every row, which takes far longer: what nobody
-- weighed more than last time, and the most that rows on touched questions can add. Of its example a vote weighs one item at
-- most, of each pair it is in two, and a choice that has the same id two more.
-- Variables: heaviest; most_pairs, the pairs that a vote may be in.
WITH given AS (
    SELECT query_key, coalesce(user_id, session_id) AS person FROM feedback
    UNION ALL
    SELECT query_key, coalesce(user_id, session_id) FROM preferences
),
busiest AS (
    SELECT count(*) AS given_rows FROM given SEMI JOIN touched USING (query_key) WHERE person IS NOT NULL GROUP BY person
)
SELECT getvariable('heaviest') + coalesce(max(given_rows), 0) * (3 + 2 * getvariable('most_pairs')) FROM busiest;
