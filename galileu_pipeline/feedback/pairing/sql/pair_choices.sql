-- Side-by-side choices on touched questions, settled by majority; an even vote is no pair. A rater's last decision
-- between the same two answers replaces the earlier ones; one for neither takes the choice back.
CREATE OR REPLACE TEMP TABLE chosen_pairs AS
WITH choices AS (
    SELECT
        feedback_id,
        query_key,
        least(chosen_digest, rejected_digest)                 AS one,
        greatest(chosen_digest, rejected_digest)              AS other,
        chosen_digest = least(chosen_digest, rejected_digest) AS for_one,
        coalesce(user_id, session_id)                         AS rater,
        occurred_at,
        ingestion,
        position
    FROM preferences
    SEMI JOIN touched USING (query_key)
    ANTI JOIN set_aside USING (feedback_id)
    UNION ALL
    SELECT
        feedback_id,
        query_key,
        least(response_left_digest, response_right_digest),
        greatest(response_left_digest, response_right_digest),
        NULL,
        coalesce(user_id, session_id),
        occurred_at,
        ingestion,
        position
    FROM withdrawals
    SEMI JOIN touched USING (query_key)
),
last_choices AS (
    FROM choices
    QUALIFY rater IS NULL
        OR row_number() OVER (
            PARTITION BY rater, query_key, one, other
            ORDER BY occurred_at DESC NULLS LAST, ingestion DESC, position DESC, feedback_id DESC
        ) = 1
),
tallies AS (
    SELECT
        query_key,
        one,
        other,
        count(*)                                                                  AS votes,
        count(*) FILTER (for_one)                                                 AS votes_for_one,
        coalesce(list(feedback_id ORDER BY feedback_id) FILTER (for_one), [])     AS ids_for_one,
        coalesce(list(feedback_id ORDER BY feedback_id) FILTER (NOT for_one), []) AS ids_for_other
    FROM last_choices
    WHERE for_one IS NOT NULL
    GROUP BY query_key, one, other
    HAVING 2 * votes_for_one <> votes
)
SELECT
    query_key,
    CASE WHEN 2 * votes_for_one > votes THEN one ELSE other END                 AS chosen_digest,
    CASE WHEN 2 * votes_for_one > votes THEN other ELSE one END                 AS rejected_digest,
    abs(2 * votes_for_one - votes) / votes                                      AS margin,
    CASE WHEN 2 * votes_for_one > votes THEN ids_for_one ELSE ids_for_other END AS choice_ids,
    CASE WHEN 2 * votes_for_one > votes THEN ids_for_other ELSE ids_for_one END AS outvoted_ids
FROM tallies;
