-- The refused rows of a batch under the fields' own names, without the ids of people. A row that is not JSON is not
-- kept: who is in it cannot be told, and nothing but its file can mend it. Nor is one that was erased.
-- A rating of another scale than 1 to 5 is kept converted or, where that cannot be, so that it is never taken for one.
-- Variables: fields, paths, scale_name (as for parse_rows.sql); identity_secret.
SELECT
    judged_rows.position,
    fault[1] AS reason,
    fault[2] AS detail,
    CASE
        WHEN fault[1] NOT IN ('invalid_json', 'erased')
        THEN json_merge_patch(
            to_json(map(getvariable('fields'), json_extract(row, getvariable('paths')))),
            json_object('feedback_id', feedback_id, 'user_id', user_id, 'session_id', session_id),
            CASE
                WHEN getvariable('scale_name') = '1-5' OR given_rating IS NULL THEN '{}'
                WHEN fault[1] = 'invalid_rating'
                    THEN json_object('rating', given_rating || ' (scale ' || getvariable('scale_name') || ')')
                ELSE json_object('rating', rating, 'thumbs_up', thumbs_up)
            END
        )::VARCHAR
    END AS raw,
    left(sha256(getvariable('identity_secret') || rtrim(row, chr(13) || chr(10))), 32) AS row_digest
FROM judged_rows
JOIN raw_rows USING (ordinal)
WHERE fault IS NOT NULL;
