-- Every answer anybody scored: the mean score over raters. A rater's last vote on an answer replaces the earlier ones.
CREATE OR REPLACE TEMP TABLE answers AS
WITH last_votes AS (
    SELECT feedback_id, query_key, response, score
    FROM feedback
    WHERE score IS NOT NULL
    QUALIFY user_id IS NULL
        OR row_number() OVER (
            PARTITION BY user_id, query_key, response
            ORDER BY occurred_at DESC NULLS LAST, position DESC, feedback_id DESC
        ) = 1
)
SELECT
    query_key,
    response,
    round(favg(score), 9)                  AS score,  -- rounded, so that summation order cannot make or break a tie
    count(*)                               AS votes,
    list(feedback_id ORDER BY feedback_id) AS feedback_ids
FROM last_votes
GROUP BY query_key, response;
