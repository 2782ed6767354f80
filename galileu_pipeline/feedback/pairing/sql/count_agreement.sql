-- How far people who chose between the same two answers agree: of all pairs of people, how many chose alike. Choices of
-- which nobody knows whose they are count as a person's each; of a person's, the last one.
WITH choices AS (
    SELECT
        query_key,
        least(chosen_digest, rejected_digest)                  AS one,
        greatest(chosen_digest, rejected_digest)               AS other,
        chosen_digest = least(chosen_digest, rejected_digest)  AS for_one
    FROM preferences
    QUALIFY row_number() OVER (
        PARTITION BY coalesce(user_id, session_id, feedback_id), query_key, one, other
        ORDER BY occurred_at DESC NULLS LAST, ingestion DESC, position DESC, feedback_id DESC
    ) = 1
),
tallies AS (
    SELECT count(*) FILTER (for_one) AS a, count(*) FILTER (NOT for_one) AS b
    FROM choices
    GROUP BY query_key, one, other
)
SELECT
    coalesce(sum(a * (a - 1) + b * (b - 1)) // 2, 0)::BIGINT AS agreeing,
    coalesce(sum((a + b) * (a + b - 1)) // 2, 0)::BIGINT     AS compared
FROM tallies;
