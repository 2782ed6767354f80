-- The refused rows of a batch under the fields' own names, without the ids of people. A row that is not JSON is not
-- kept: who is in it cannot be told, and nothing but its file can mend it. Nor is one that was erased.
-- Variables: fields, paths (as for parse_rows.sql); identity_secret.
SELECT
    judged_rows.position,
    fault[1] AS reason,
    fault[2] AS detail,
    CASE
        WHEN fault[1] NOT IN ('invalid_json', 'erased')
        THEN json_merge_patch(
            to_json(map(getvariable('fields'), json_extract(row, getvariable('paths')))),
            json_object('feedback_id', feedback_id, 'user_id', user_id, 'session_id', session_id)
        )::VARCHAR
    END AS raw,
    left(sha256(getvariable('identity_secret') || rtrim(row, chr(13) || chr(10))), 32) AS row_digest
FROM judged_rows
JOIN raw_rows USING (ordinal)
WHERE fault IS NOT NULL;
