-- A person's rows (variable `person`) leave the warehouse. The ledger gets an entry of as many rows less, so that it
-- still balances.
CREATE OR REPLACE TEMP TABLE erased AS
SELECT
    (SELECT count(*) FROM feedback WHERE coalesce(user_id, session_id) = getvariable('person'))
    + (SELECT count(*) FROM feedback_choices WHERE coalesce(user_id, session_id) = getvariable('person'))
    + (SELECT count(*) FROM feedback_comparisons WHERE coalesce(user_id, session_id) = getvariable('person'))
    + (SELECT count(*) FROM feedback_history WHERE coalesce(user_id, session_id) = getvariable('person')) AS accepted,
    (
        SELECT count(*)
        FROM feedback_quarantine
        WHERE coalesce(nullif(raw ->> '$.user_id', ''), raw ->> '$.session_id') = getvariable('person')
    ) AS quarantined;
INSERT INTO ingestions BY NAME
SELECT
    (SELECT coalesce(max(ingestion), 0) + 1 FROM ingestions) AS ingestion,
    'erasure'                                                AS source,
    now()::TIMESTAMP                                         AS ingested_at,
    -(accepted + quarantined)                                AS rows_in,
    -accepted                                                AS accepted,
    -quarantined                                             AS quarantined,
    0                                                        AS duplicates
FROM erased;
DELETE FROM feedback WHERE coalesce(user_id, session_id) = getvariable('person');
DELETE FROM feedback_choices WHERE coalesce(user_id, session_id) = getvariable('person');
DELETE FROM feedback_comparisons WHERE coalesce(user_id, session_id) = getvariable('person');
DELETE FROM feedback_history WHERE coalesce(user_id, session_id) = getvariable('person');
DELETE FROM feedback_quarantine
WHERE coalesce(nullif(raw ->> '$.user_id', ''), raw ->> '$.session_id') = getvariable('person');
