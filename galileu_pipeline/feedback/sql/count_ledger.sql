-- Rows ever read, and what the tables hold now: two independent counts that must agree.
WITH accepted_rows AS (
    SELECT repaired, masked FROM feedback
    UNION ALL
    SELECT repaired, masked FROM feedback_choices
    UNION ALL
    SELECT repaired, masked FROM feedback_comparisons
)
SELECT
    (SELECT coalesce(sum(rows_in), 0)::BIGINT FROM ingestions)    AS rows_in,
    count(*)                                                      AS accepted,
    count(*) FILTER (repaired)                                    AS repaired,
    count(*) FILTER (masked IS NOT NULL)                          AS masked,
    (SELECT count(*) FROM feedback_quarantine)                    AS quarantined,
    (SELECT coalesce(sum(duplicates), 0)::BIGINT FROM ingestions) AS duplicates
FROM accepted_rows;
