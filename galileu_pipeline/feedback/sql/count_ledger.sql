-- Rows ever read, and what the tables hold now: two independent counts that must agree.
SELECT
    (SELECT coalesce(sum(rows_in), 0)::BIGINT FROM ingestions)    AS rows_in,
    (SELECT count(*) FROM feedback)
        + (SELECT count(*) FROM feedback_choices)                 AS accepted,
    (SELECT count(*) FROM feedback WHERE repaired)
        + (SELECT count(*) FROM feedback_choices WHERE repaired)  AS repaired,
    (SELECT count(*) FROM feedback_quarantine)                    AS quarantined,
    (SELECT coalesce(sum(duplicates), 0)::BIGINT FROM ingestions) AS duplicates;
