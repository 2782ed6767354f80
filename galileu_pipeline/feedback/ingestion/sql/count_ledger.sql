-- Rows ever read, and what the tables hold now: two independent counts that must agree.
-- What was accepted stands, or is history. A side-by-side vote that decides has a row in two tables, and is one interaction.
WITH accepted_rows AS (
    SELECT repaired, masked FROM feedback
    UNION ALL
    SELECT repaired, masked FROM feedback_choices
    UNION ALL
    SELECT repaired, masked FROM feedback_comparisons
),
side_by_side AS (
    SELECT feedback_id FROM feedback_choices
    UNION
    SELECT feedback_id FROM feedback_comparisons
)
SELECT
    (SELECT coalesce(sum(rows_in), 0)::BIGINT FROM ingestions)    AS rows_in,
    count(*) + (SELECT count(*) FROM feedback_history)            AS accepted,
    (SELECT count(*) FROM feedback)
        + (SELECT count(*) FROM side_by_side ANTI JOIN feedback USING (feedback_id)) AS interactions,
    count(*) FILTER (repaired)                                    AS repaired,
    count(*) FILTER (masked IS NOT NULL)                          AS masked,
    (SELECT count(*) FROM feedback_quarantine)                    AS quarantined,
    (SELECT coalesce(sum(duplicates), 0)::BIGINT FROM ingestions) AS duplicates
FROM accepted_rows;
