-- Rows of a layer whose id is here already (here_rows: kind, feedback_id), and what that makes of them.
-- known: the same vote in a state that was read before. newer: it takes the place of the state that stands. older: it
-- belongs into the history. conflict: the id is another row's.
-- The id is trusted only with what it is about, and whose it is; but in a database (in_place) the row of the same rowid is
-- the same row, whatever it says now; and one that is no longer at its rowid (left_positions) has moved, as INSERT OR
-- REPLACE does it. Of equal times, or none, the one read later is the newer one.
WITH votes AS MATERIALIZED (
    SELECT feedback_id, source, position, occurred_at, user_id, session_id, row_digest, response_digest, query_key, thumbs_up
    FROM feedback
    SEMI JOIN (FROM here_rows WHERE kind = 'vote') AS here USING (feedback_id)
),
choices AS MATERIALIZED (
    SELECT
        feedback_id, source, position, occurred_at, user_id, session_id, row_digest, chosen_digest, rejected_digest,
        query_key, reason
    FROM feedback_choices
    SEMI JOIN (FROM here_rows WHERE kind = 'choice') AS here USING (feedback_id)
),
comparisons AS MATERIALIZED (
    SELECT
        feedback_id, source, position, occurred_at, user_id, session_id, row_digest, response_left_digest,
        response_right_digest, query_key, model_left, model_right, reason
    FROM feedback_comparisons
    SEMI JOIN (FROM here_rows WHERE kind = 'comparison') AS here USING (feedback_id)
),
stored AS (
    SELECT
        'vote' AS kind, feedback_id, source, position, occurred_at, coalesce(user_id, session_id) AS person, row_digest,
        subject_of_vote(response_digest, query_key) AS subject,
        thumbs_up::VARCHAR                          AS said
    FROM votes
    UNION ALL
    SELECT
        'choice', feedback_id, source, position, occurred_at, coalesce(user_id, session_id), row_digest,
        subject_of_choice(chosen_digest, rejected_digest, query_key),
        reason
    FROM choices
    UNION ALL
    SELECT
        'comparison', feedback_id, source, position, occurred_at, coalesce(user_id, session_id), row_digest,
        subject_of_comparison(response_left_digest, response_right_digest, query_key),
        concat_ws('|', model_left, model_right, reason)
    FROM comparisons
),
met AS (
    SELECT
        judged_rows.ordinal,
        judged_rows.kind,
        judged_rows.feedback_id,
        judged_rows.row_digest,
        judged_rows.occurred_at,
        judged_rows.position,
        $in_place AND stored.source = $source                                            AS in_place,
        in_place AND stored.position = judged_rows.position                              AS same_place,
        in_place AND stored.position IN (SELECT position FROM left_positions)            AS left_place,
        stored.subject = judged_rows.subject
            AND stored.person IS NOT DISTINCT FROM judged_rows.person                    AS same_vote,
        same_vote
            AND stored.row_digest = judged_rows.row_digest
            AND stored.said IS NOT DISTINCT FROM judged_rows.said
            AND coalesce(stored.occurred_at = judged_rows.occurred_at, judged_rows.occurred_at IS NULL) AS same_state,
        coalesce(judged_rows.occurred_at >= stored.occurred_at, stored.occurred_at IS NULL) AS not_older
    FROM judged_rows
    JOIN stored USING (kind, feedback_id)
    WHERE fault IS NULL
)
SELECT
    ordinal,
    kind,
    feedback_id,
    position,
    CASE
        WHEN same_place THEN 'newer'
        WHEN same_state THEN 'known'
        WHEN NOT same_vote THEN 'conflict'
        WHEN left_place THEN 'newer'
        WHEN EXISTS (
            FROM feedback_history
            WHERE feedback_history.feedback_id = met.feedback_id
                AND feedback_history.kind = met.kind
                AND feedback_history.row_digest = met.row_digest
                AND feedback_history.occurred_at IS NOT DISTINCT FROM met.occurred_at
        ) THEN 'known'
        WHEN not_older THEN 'newer'
        ELSE 'older'
    END AS outcome,
    left_place AND NOT same_place AS moved
FROM met;
