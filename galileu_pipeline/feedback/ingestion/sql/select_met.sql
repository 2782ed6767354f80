-- Rows of a layer whose id is here already, and what that makes of them.
-- known: the same vote in a state that was read before. newer: it takes the place of the state that stands. older: it
-- belongs into the history. conflict: the id is another row's.
-- The id is trusted only with what it is about, and whose it is; but in a database (in_place) the row of the same rowid is
-- the same row, whatever it says now. Of equal times, or none, the one read later is the newer one.
WITH met AS (
    SELECT
        judged_rows.ordinal,
        judged_rows.kind,
        judged_rows.feedback_id,
        judged_rows.row_digest,
        judged_rows.occurred_at,
        stored_rows.source                                                     AS stored_source,
        stored_rows.position                                                   AS stored_position,
        judged_rows.position,
        stored_rows.subject = judged_rows.subject
            AND stored_rows.person IS NOT DISTINCT FROM judged_rows.person     AS same_vote,
        stored_rows.row_digest = judged_rows.row_digest
            AND stored_rows.said IS NOT DISTINCT FROM judged_rows.said
            AND coalesce(stored_rows.occurred_at = judged_rows.occurred_at, judged_rows.occurred_at IS NULL)
            AND same_vote                                                      AS same_state,
        coalesce(judged_rows.occurred_at >= stored_rows.occurred_at, stored_rows.occurred_at IS NULL) AS not_older
    FROM judged_rows
    JOIN (SELECT * FROM stored_rows SEMI JOIN judged_rows USING (kind, feedback_id)) AS stored_rows
        USING (kind, feedback_id)
    WHERE fault IS NULL
)
SELECT
    ordinal,
    kind,
    feedback_id,
    position,
    CASE
        WHEN $in_place AND stored_source = $source AND stored_position = position THEN 'newer'
        WHEN same_state THEN 'known'
        WHEN NOT same_vote THEN 'conflict'
        WHEN EXISTS (
            FROM feedback_history
            WHERE feedback_history.feedback_id = met.feedback_id
                AND feedback_history.kind = met.kind
                AND feedback_history.row_digest = met.row_digest
                AND feedback_history.occurred_at IS NOT DISTINCT FROM met.occurred_at
        ) THEN 'known'
        WHEN not_older THEN 'newer'
        ELSE 'older'
    END AS outcome
FROM met;
