-- Rows that kept something out of the data: without the row, its question, which gives none, would give a pair (`pair`),
-- or its answer would be good enough to imitate (`example`). A vote takes the place of an earlier one of the same person
-- on the same answer, so without it that one would count again; likewise with choices.
-- Variables: sft_min_score, min_margin.
WITH good_answers AS (
    FROM answers WHERE score >= getvariable('sft_min_score')
),
-- The others are left out early: most questions have both.
undecided AS (
    SELECT query_key FROM queries ANTI JOIN preference_pairs USING (query_key)
    UNION
    SELECT query_key FROM queries ANTI JOIN good_answers USING (query_key)
),
votes AS (
    SELECT
        feedback_id,
        query_key,
        response_digest,
        coalesce(user_id, session_id)  AS person,
        score,
        lead(score) OVER latest_first  AS earlier,
        row_number() OVER latest_first AS place
    FROM feedback
    SEMI JOIN undecided USING (query_key)
    ANTI JOIN set_aside USING (feedback_id)
    WHERE score IS NOT NULL
    WINDOW latest_first AS (
        PARTITION BY coalesce(user_id, session_id, 'row ' || feedback_id), query_key, response_digest
        ORDER BY occurred_at DESC NULLS LAST, ingestion DESC, position DESC, feedback_id DESC
    )
),
standing AS (
    FROM votes WHERE place = 1
),
tallies AS (
    SELECT query_key, response_digest, count(*) AS votes, fsum(score) AS total
    FROM standing
    GROUP BY query_key, response_digest
),
beside AS (
    SELECT
        query_key,
        response_digest,
        score               AS mean,
        max(score) OVER others AS best_other,
        min(score) OVER others AS worst_other
    FROM answers
    SEMI JOIN undecided USING (query_key)
    WINDOW others AS (
        PARTITION BY query_key ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE CURRENT ROW
    )
),
without AS (
    SELECT
        feedback_id,
        query_key,
        person,
        mean,
        best_other,
        worst_other,
        round((total - score + coalesce(earlier, 0)) / nullif(votes - (earlier IS NULL)::INTEGER, 0), 9) AS new_mean
    FROM standing
    JOIN tallies USING (query_key, response_digest)
    JOIN beside USING (query_key, response_digest)
),
decisions AS (
    SELECT
        feedback_id, query_key, coalesce(user_id, session_id) AS person, occurred_at, ingestion, position,
        least(chosen_digest, rejected_digest)                 AS one,
        greatest(chosen_digest, rejected_digest)              AS other,
        chosen_digest = least(chosen_digest, rejected_digest) AS for_one
    FROM preferences
    ANTI JOIN set_aside USING (feedback_id)
    UNION ALL
    SELECT
        feedback_id, query_key, coalesce(user_id, session_id), occurred_at, ingestion, position,
        least(response_left_digest, response_right_digest),
        greatest(response_left_digest, response_right_digest),
        NULL  -- for neither
    FROM withdrawals
),
choices AS (
    SELECT
        feedback_id,
        query_key,
        person,
        for_one,
        lead(for_one) OVER latest_first AS earlier_for_one,
        row_number() OVER latest_first  AS place
    FROM decisions
    WINDOW latest_first AS (
        PARTITION BY coalesce(person, 'row ' || feedback_id), query_key, one, other
        ORDER BY occurred_at DESC NULLS LAST, ingestion DESC, position DESC, feedback_id DESC
    )
)
SELECT kind, query_key, feedback_id, person
FROM (
    SELECT 'example' AS kind, query_key, feedback_id, person
    FROM without
    ANTI JOIN good_answers USING (query_key)
    WHERE mean < getvariable('sft_min_score') AND new_mean >= getvariable('sft_min_score')
    UNION ALL
    SELECT 'pair', query_key, feedback_id, person
    FROM without
    ANTI JOIN preference_pairs USING (query_key)
    WHERE greatest(best_other, new_mean) > least(worst_other, new_mean)
        AND greatest(best_other, new_mean) - least(worst_other, new_mean) >= getvariable('min_margin')
        AND new_mean IS NOT NULL
        AND best_other IS NOT NULL
    UNION ALL
    -- Without a pair, the choices between two answers are even.
    SELECT 'pair', query_key, feedback_id, person
    FROM choices
    ANTI JOIN preference_pairs USING (query_key)
    WHERE place = 1 AND earlier_for_one IS DISTINCT FROM for_one
)
ORDER BY kind, query_key, feedback_id;
