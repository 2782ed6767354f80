-- The rows of a batch (raw_rows: ordinal, position, row), typed. What is wrong with one so far stands in fault:
-- [reason, detail]. Texts are still as they came.
-- Variables: paths, the JSON path of each field in the order of feedback/ingestion.py; max_text_chars; identity_secret;
-- the scale of ratings: scale_name, scale_ends, worst_rating, best_rating or thumbs; up_words and down_words, how thumbs are spelt.
WITH checked AS (
    SELECT ordinal, position, row, CASE WHEN json_valid(row) THEN json_type(row) END AS root
    FROM raw_rows
),
fields AS (
    SELECT
        ordinal,
        position,
        root,
        -- What is empty is as if it were not there: CSV cannot tell the two apart.
        CASE
            WHEN root = 'OBJECT'
                THEN list_transform(json_extract_string(row, getvariable('paths')), lambda text: nullif(text, ''))
        END                                                                               AS value,
        CASE WHEN root = 'OBJECT' THEN json_type(row, getvariable('paths')) END           AS type
    FROM checked
),
named AS (
    SELECT
        ordinal,
        position,
        root,
        list_filter(
            list_zip(
                ['query', 'response', 'comment', 'response_chosen', 'response_rejected', 'response_left',
                    'response_right', 'reason'],
                type[1:8],
                list_transform(value[1:8], lambda text: length(text))
            ),
            lambda field: field[2] NOT IN ('VARCHAR', 'NULL') OR field[3] > getvariable('max_text_chars')
        )[1]                                               AS bad_text,
        value[1]                                           AS query,
        value[2]                                           AS response,
        value[3]                                           AS comment,
        value[4]                                           AS chosen,
        value[5]                                           AS rejected,
        value[6]                                           AS response_left,
        value[7]                                           AS response_right,
        value[8]                                           AS reason,
        nullif(value[9], '')                               AS given_id,
        nullif(value[10], '')                              AS given_time,
        nullif(value[11], '')                              AS session_id,
        nullif(value[12], '')                              AS user_id,
        nullif(trim(value[13]), '')                        AS given_rating,
        nullif(lower(trim(value[14])), '')                 AS given_thumb,
        value[15]                                          AS given_documents,
        value[16]                                          AS given_metadata,
        nullif(value[17], '')                              AS model_left,
        nullif(value[18], '')                              AS model_right,
        nullif(value[19], '')                              AS verdict,
        type[15]                                           AS documents_type,
        type[16]                                           AS metadata_type,
        CASE
            WHEN value[6] IS NOT NULL OR value[7] IS NOT NULL THEN 'comparison'
            WHEN value[4] IS NOT NULL OR value[5] IS NOT NULL THEN 'choice'
            ELSE 'vote'
        END                                                AS kind,
        -- Ratings may have a decimal comma; times are ISO 8601, seconds or milliseconds since 1970, or Brazilian dates.
        TRY_CAST(replace(given_rating, ',', '.') AS DOUBLE) AS number,
        -- Where thumbs are in the column of ratings, those are what counts.
        CASE WHEN getvariable('thumbs') THEN coalesce(lower(given_rating), given_thumb) ELSE given_thumb END AS spelt_thumb,
        CASE
            WHEN spelt_thumb IN getvariable('up_words') THEN TRUE
            WHEN spelt_thumb IN getvariable('down_words') THEN FALSE
        END                                                AS thumbs_up,
        CASE
            WHEN getvariable('thumbs') THEN NULL
            WHEN number BETWEEN least(getvariable('worst_rating'), getvariable('best_rating'))
                AND greatest(getvariable('worst_rating'), getvariable('best_rating'))
                THEN CASE
                    WHEN getvariable('scale_name') = '1-5' THEN number  -- to the last digit
                    ELSE 1 + 4 * (number - getvariable('worst_rating'))
                        / (getvariable('best_rating') - getvariable('worst_rating'))
                END
        END                                                AS rating,
        CASE
            WHEN regexp_full_match(given_time, '-?[0-9]{1,10}(\.[0-9]+)?')
                THEN make_timestamp((given_time::DOUBLE * 1000000)::BIGINT)
            WHEN regexp_full_match(given_time, '[0-9]{12,14}') THEN make_timestamp(given_time::BIGINT * 1000)
            ELSE coalesce(
                TRY_CAST(given_time AS TIMESTAMPTZ)::TIMESTAMP,
                try_strptime(given_time, ['%d/%m/%Y %H:%M:%S', '%d/%m/%Y %H:%M', '%d/%m/%Y'])
            )
        END                                                AS occurred_at
    FROM fields
)
SELECT
    ordinal,
    position,
    kind,
    CASE
        WHEN root IS NULL THEN ['invalid_json', 'not JSON; is the line cut off?']
        WHEN root <> 'OBJECT' THEN ['invalid_json', 'a JSON ' || lower(root) || ', not an object']
        WHEN bad_text[2] NOT IN ('VARCHAR', 'NULL')
            THEN ['not_text', bad_text[1] || ' is of type ' || lower(bad_text[2]) || ', not text']
        WHEN bad_text IS NOT NULL
            THEN ['text_too_long', format('{} has {:,} characters', bad_text[1], bad_text[3])]
        WHEN given_rating IS NOT NULL AND rating IS NULL AND NOT getvariable('thumbs')
            THEN ['invalid_rating', 'rating is ' || left(given_rating, 80) || ', not a number from '
                || getvariable('scale_ends')]
        WHEN given_rating IS NOT NULL AND thumbs_up IS NULL AND getvariable('thumbs')
            THEN ['invalid_rating', 'rating is ' || left(given_rating, 80) || ', not a thumb']
        WHEN given_thumb IS NOT NULL AND thumbs_up IS NULL
            THEN ['invalid_thumbs', 'thumbs_up is ' || left(given_thumb, 80) || ', not true or false']
        WHEN given_time IS NOT NULL AND (occurred_at IS NULL OR NOT isfinite(occurred_at))
            THEN ['invalid_timestamp', 'timestamp is ' || left(given_time, 80) || ', not ISO 8601']
        WHEN kind = 'comparison' AND coalesce(verdict NOT IN ('left', 'right', 'tie', 'both_bad'), TRUE)
            THEN ['invalid_verdict', 'verdict is ' || coalesce(left(verdict, 80), 'missing')
                || ', not left, right, tie or both_bad']
    END AS fault,
    -- The client's id. Without one the row's content is its identity, and its position too where it carries no time,
    -- since two people may well give the same answer the same thumb. Keyed: a masked number cannot be guessed from it.
    coalesce(
        given_id,
        sha256(
            getvariable('identity_secret') || to_json(
                [kind, query, response, comment, chosen, rejected, response_left, response_right, reason, verdict,
                    given_time, session_id, user_id, given_rating, given_thumb, given_documents, given_metadata]
            )::VARCHAR
        ) || CASE WHEN given_time IS NULL THEN '-' || position ELSE '' END
    ) AS feedback_id,
    occurred_at,
    session_id,
    user_id,
    CASE WHEN bad_text IS NULL THEN query END          AS query,
    CASE WHEN bad_text IS NULL THEN response END       AS response,
    CASE WHEN bad_text IS NULL THEN comment END        AS comment,
    CASE WHEN bad_text IS NULL THEN chosen END         AS chosen,
    CASE WHEN bad_text IS NULL THEN rejected END       AS rejected,
    CASE WHEN bad_text IS NULL THEN response_left END  AS response_left,
    CASE WHEN bad_text IS NULL THEN response_right END AS response_right,
    CASE WHEN bad_text IS NULL THEN reason END         AS reason,
    given_rating,
    given_thumb,
    rating,
    thumbs_up,
    model_left,
    model_right,
    verdict,
    -- JSON text. What is not valid JSON is kept as a JSON string: a good vote is not lost over it.
    CASE
        WHEN documents_type <> 'VARCHAR' OR json_valid(given_documents) THEN nullif(given_documents, '')
        ELSE to_json(nullif(given_documents, ''))::VARCHAR
    END AS source_documents,
    CASE
        WHEN metadata_type <> 'VARCHAR' OR json_valid(given_metadata) THEN nullif(given_metadata, '')
        ELSE to_json(nullif(given_metadata, ''))::VARCHAR
    END AS metadata
FROM named;
