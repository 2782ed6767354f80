-- The rows of a batch (raw_rows: ordinal, position, row), typed. What is wrong with one so far stands in fault:
-- [reason, detail]. Texts are still as they came.
-- Variables: paths, the JSON path of each field in the order of ingestion/parsing.py; max_text_chars;
-- earliest_time, before which no vote is; the scale of ratings: scale_name, scale_ends, worst_rating, best_rating or thumbs;
-- up_words and down_words, how thumbs are spelt; absent_words, which say that there is no value.
-- Parameters: identity_secret; latest_time, after which no vote is. With their types said, and outside of lambdas: else
-- DuckDB plans the statement anew each time it runs. Its macros: create_reading_macros.sql.
WITH checked AS (
    -- Types of the fields, and last that of the whole row; NULL for what is not JSON.
    SELECT ordinal, position, row, TRY(json_type(row, list_append(getvariable('paths'), '$'))) AS type
    FROM raw_rows
),
given AS (
    SELECT
        ordinal,
        position,
        type[-1]                                                                AS root,
        strlen(row)                                                             AS bytes,
        -- What is empty is as if it were not there: CSV cannot tell the two apart.
        CASE
            WHEN root = 'OBJECT'
                THEN list_transform(json_extract_string(row, getvariable('paths')), lambda text: nullif(text, ''))
        END                                                                     AS value,
        type,
        contains(row, 'NaN')                                                    AS may_have_nan
    FROM checked
),
fields AS (
    -- Nor is NaN there, which Python writes for what is missing; most rows are spared the look.
    SELECT
        * EXCLUDE (may_have_nan) REPLACE (
            CASE
                WHEN may_have_nan
                    THEN list_transform(
                        value, lambda text, place: CASE WHEN text <> 'NaN' OR type[place] <> 'DOUBLE' THEN text END
                    )
                ELSE value
            END AS value,
            CASE
                WHEN may_have_nan
                    THEN list_transform(
                        type, lambda kind, place: CASE WHEN kind = 'DOUBLE' AND value[place] = 'NaN' THEN 'NULL' ELSE kind END
                    )
                ELSE type
            END AS type
        )
    FROM given
),
-- Columns of their own: what follows asks for them more than once.
present AS (
    SELECT
        *,
        CASE WHEN lower(trim(value[10])) NOT IN getvariable('absent_words') THEN trim(value[10]) END        AS given_time,
        CASE WHEN lower(trim(value[13])) NOT IN getvariable('absent_words') THEN trim(value[13]) END        AS given_rating,
        CASE WHEN lower(trim(value[14])) NOT IN getvariable('absent_words') THEN lower(trim(value[14])) END AS given_thumb,
        $latest_time::TIMESTAMP                                                                             AS latest
    FROM fields
),
named AS (
    SELECT
        ordinal,
        position,
        root,
        -- The slower look is for rows in which it may find something.
        CASE
            WHEN bytes > getvariable('max_text_chars') OR NOT list_has_all(['VARCHAR', 'NULL'], type[1:8])
                THEN list_filter(
                    list_zip(
                        ['query', 'response', 'comment', 'response_chosen', 'response_rejected', 'response_left',
                            'response_right', 'reason'],
                        type[1:8],
                        list_transform(value[1:8], lambda text: length(text))
                    ),
                    lambda field: field[2] NOT IN ('VARCHAR', 'NULL') OR field[3] > getvariable('max_text_chars')
                )[1]
        END                                                AS bad_text,
        value[1]                                           AS query,
        value[2]                                           AS response,
        value[3]                                           AS comment,
        value[4]                                           AS chosen,
        value[5]                                           AS rejected,
        value[6]                                           AS response_left,
        value[7]                                           AS response_right,
        value[8]                                           AS reason,
        nullif(value[9], '')                               AS given_id,
        given_time,
        nullif(value[11], '')                              AS session_id,
        nullif(value[12], '')                              AS user_id,
        given_rating,
        given_thumb,
        value[15]                                          AS given_documents,
        value[16]                                          AS given_metadata,
        nullif(value[17], '')                              AS model_left,
        nullif(value[18], '')                              AS model_right,
        nullif(trim(value[19]), '')                        AS given_verdict,
        type[15]                                           AS documents_type,
        type[16]                                           AS metadata_type,
        CASE
            WHEN value[6] IS NOT NULL OR value[7] IS NOT NULL THEN 'comparison'
            WHEN value[4] IS NOT NULL OR value[5] IS NOT NULL THEN 'choice'
            ELSE 'vote'
        END                                                AS kind,
        -- Ratings may have a decimal comma.
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
        time_of(given_time, latest)                        AS occurred_at,
        -- Who wins may be said by name.
        CASE
            WHEN given_verdict IS NULL THEN NULL
            WHEN trim(model_left) = trim(model_right) THEN verdict_of(given_verdict)
            WHEN given_verdict = trim(model_left) THEN 'left'
            WHEN given_verdict = trim(model_right) THEN 'right'
            WHEN lower(trim(model_left)) = lower(trim(model_right)) THEN verdict_of(given_verdict)
            WHEN lower(given_verdict) = lower(trim(model_left)) THEN 'left'
            WHEN lower(given_verdict) = lower(trim(model_right)) THEN 'right'
            ELSE verdict_of(given_verdict)
        END AS verdict
    FROM present
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
        WHEN given_time IS NOT NULL AND occurred_at IS NULL
            THEN ['invalid_timestamp', 'timestamp is ' || left(given_time, 80) || ', which is not for certain a time from '
                || strftime(getvariable('earliest_time'), '%Y-%m-%d') || ' to today; write it as 2026-11-24T10:30:00Z']
        WHEN response IS NOT NULL AND kind <> 'vote' AND coalesce(given_rating, given_thumb) IS NOT NULL
            THEN ['several_kinds', 'a rating of response, and a ' || kind || ' as well; make a row of each']
        WHEN kind = 'comparison' AND coalesce(chosen, rejected) IS NOT NULL
            AND (verdict, chosen, rejected) NOT IN
                (('left', response_left, response_right), ('right', response_right, response_left))
            THEN ['several_kinds', 'response_chosen or response_rejected beside response_left or response_right; '
                || 'make a row of each']
        WHEN kind = 'comparison' AND verdict IS NULL
            THEN ['invalid_verdict', 'verdict is ' || coalesce(left(given_verdict, 80), 'missing')
                || ', not left, right, tie or both_bad']
    END AS fault,
    given_id,
    -- What tells a row without an id from others, but for who gave it (identity.py): what was said, and of what. Metadata
    -- and documents may differ from one export to the next. Keyed: a masked number cannot be guessed from it.
    CASE WHEN given_id IS NULL OR NOT regexp_matches(given_id, '[0-9]') THEN
        sha256(
            $identity_secret::VARCHAR || to_json(
                [kind, query, response, comment, chosen, rejected, response_left, response_right, reason,
                    coalesce(verdict, given_verdict), coalesce(occurred_at::VARCHAR, given_time),
                    coalesce(rating::VARCHAR, CASE WHEN NOT getvariable('thumbs') THEN given_rating END),
                    coalesce(thumbs_up::VARCHAR, spelt_thumb)]
            )::VARCHAR
        )
    END AS content,
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
    -- Whether a date has the day first, where it can be told.
    CASE
        WHEN substr(given_time, 2, 2) NOT LIKE '%/%' THEN NULL
        WHEN regexp_matches(given_time, '^(1[3-9]|2\d|3[01])/(0?[1-9]|1[0-2])/\d{4}') THEN TRUE
        WHEN regexp_matches(given_time, '^(0?[1-9]|1[0-2])/(1[3-9]|2\d|3[01])/\d{4}') THEN FALSE
    END AS day_first,
    rating,
    thumbs_up,
    model_left,
    model_right,
    verdict,
    -- JSON text, as short as it can be. What is not valid JSON is kept as a JSON string: a good vote is not lost over it.
    CASE
        WHEN documents_type <> 'VARCHAR' THEN given_documents
        WHEN json_valid(given_documents) THEN json(given_documents)::VARCHAR
        ELSE to_json(nullif(given_documents, ''))::VARCHAR
    END AS source_documents,
    CASE
        WHEN metadata_type <> 'VARCHAR' THEN given_metadata
        WHEN json_valid(given_metadata) THEN json(given_metadata)::VARCHAR
        ELSE to_json(nullif(given_metadata, ''))::VARCHAR
    END AS metadata
FROM named;
