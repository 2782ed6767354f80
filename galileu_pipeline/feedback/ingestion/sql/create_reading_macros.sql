-- How fields that people and programs write in many ways are read. What is not certain is NULL, and refused.
-- Variables: earliest_time (TIMESTAMP); others as for parse_rows.sql. After `latest` no vote is.

-- The first that is plausible. A parameter of a macro is written out where it stands, one of a lambda is worked out once.
CREATE TEMP MACRO first_plausible(moments, latest) AS
    list_filter(moments, lambda moment: moment BETWEEN getvariable('earliest_time') AND latest)[1];

-- Microseconds since 1970; NULL beyond what a TIMESTAMP holds.
CREATE TEMP MACRO time_of_epoch(microseconds) AS TRY(make_timestamp(microseconds::BIGINT));

-- A number as seconds, milli- or microseconds since 1970: at most one of them is a plausible time. Where none is, eight,
-- twelve or fourteen digits may be a date without separators.
CREATE TEMP MACRO time_of_number(digits, latest) AS
    first_plausible(
        [
            time_of_epoch(TRY_CAST(replace(digits, ',', '.') AS DECIMAL(30, 6)) * 1000000),
            time_of_epoch(TRY_CAST(replace(digits, ',', '.') AS DECIMAL(30, 6)) * 1000),
            time_of_epoch(TRY_CAST(replace(digits, ',', '.') AS DECIMAL(30, 6))),
            CASE length(digits)
                WHEN 8 THEN try_strptime(digits, '%Y%m%d')
                WHEN 12 THEN try_strptime(digits, '%Y%m%d%H%M')
                WHEN 14 THEN try_strptime(digits, '%Y%m%d%H%M%S')
            END
        ],
        latest
    );

-- `parts`: year, month, day, clock, fraction, offset, as text; the last three may be empty.
CREATE TEMP MACRO time_of_parts(parts) AS
    list_transform(
        [parts],
        lambda part: TRY_CAST(
            concat(
                part.year, '-', part.month, '-', part.day,
                CASE WHEN part.clock <> '' THEN ' ' || part.clock END,
                CASE WHEN part.fraction <> '' THEN '.' || part.fraction END,
                part."offset"
            ) AS TIMESTAMPTZ
        )::TIMESTAMP
    )[1];

-- ISO 8601, also with blanks and offsets as other programs write them.
CREATE TEMP MACRO time_of_iso(text) AS
    CASE
        WHEN regexp_matches(text, '^\d{4}[-/]')
        THEN time_of_parts(regexp_extract(
            text,
            '^(\d{4})[-/](\d\d?)[-/](\d\d?)(?:[Tt ]\s*(\d\d?:\d\d(?::\d\d)?)(?:[.,](\d{1,9}))?\s*(?:[Zz]|UTC|GMT)?'
                || '([+-][01]\d(?::?[0-5]\d)?)?)?$',
            ['year', 'month', 'day', 'clock', 'fraction', 'offset']
        ))
    END;

-- ISO 8601 without separators, as calendars and names of files have it.
CREATE TEMP MACRO time_of_basic_iso(text) AS
    CASE
        WHEN regexp_matches(text, '^\d{8}T\d{4}')
        THEN time_of_iso(regexp_replace(
            regexp_replace(text, '^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)', '\1-\2-\3T\4:\5'),
            ':(\d\d)(\d\d)', ':\1:\2'
        ))
    END;

-- The day before the month, as in Brazil, with a year of four digits.
CREATE TEMP MACRO time_of_brazil(text) AS
    CASE
        WHEN regexp_matches(text, '^\d\d?[/.]\d\d?[/.]\d{4}')
        THEN time_of_parts(regexp_extract(
            text,
            '^(\d\d?)[/.](\d\d?)[/.](\d{4})(?:,?(?: às)? *(\d\d?:\d\d(?::\d\d)?)(?:[.,](\d{1,6}))?())?$',
            ['day', 'month', 'year', 'clock', 'fraction', 'offset']
        ))
    END;

-- `parts`: moment, such as 24 Nov 2026 10:30:00, and offset, which may be empty. Read apart: with an offset, strptime takes
-- 31 February for 3 March.
CREATE TEMP MACRO time_of_mail_parts(parts) AS
    list_transform(
        [parts],
        lambda part: TRY_CAST(
            strftime(try_strptime(part.moment, ['%d %b %Y %H:%M:%S', '%b %d %Y %H:%M:%S']), '%Y-%m-%d %H:%M:%S')
                || part."offset" AS TIMESTAMPTZ
        )::TIMESTAMP
    )[1];

-- As mail and web servers (Tue, 24 Nov 2026 10:30:00 GMT) and browsers (Tue Nov 24 2026 07:30:00 GMT-0300) write it.
CREATE TEMP MACRO time_of_mail(text) AS
    CASE
        WHEN regexp_matches(text, '^[A-Z][a-z]{2},? ')
        THEN time_of_mail_parts(regexp_extract(
            text,
            '^[A-Z][a-z]{2},? (\w+ \w+ \d{4} \d\d?:\d\d:\d\d) (?:GMT|UTC|(?:GMT|UTC)?([+-][01]\d[0-5]\d))(?: \(.*\))?$',
            ['moment', 'offset']
        ))
    END;

-- Text without outer blanks as a time in UTC, which it is taken for where it has no offset. The first way is a short cut for
-- what programs write; the others would read the same.
CREATE TEMP MACRO time_of(text, latest) AS
    first_plausible(
        [
            CASE
                WHEN regexp_full_match(text, '\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-][01]\d:[0-5]\d)?')
                THEN TRY_CAST(text AS TIMESTAMPTZ)::TIMESTAMP
                WHEN regexp_full_match(text, '\d+([.,]\d+)?') THEN time_of_number(text, latest)
                ELSE coalesce(time_of_iso(text), time_of_basic_iso(text), time_of_brazil(text), time_of_mail(text))
            END
        ],
        latest
    );

-- A vote between two answers, in the words of this project, of chatbot arenas and of people.
CREATE TEMP MACRO verdict_of(text) AS
    map_extract_value(
        MAP {
            'left': 'left', 'leftvote': 'left', 'leftisbetter': 'left', 'leftbetter': 'left', 'leftwins': 'left',
            'a': 'left', 'modela': 'left', 'responsea': 'left', 'answera': 'left', 'assistanta': 'left',
            'aisbetter': 'left', 'abetter': 'left', 'awins': 'left', 'modelawins': 'left', 'responseleft': 'left',
            'modelleft': 'left', 'esquerda': 'left', 'aesquerda': 'left', 'àesquerda': 'left',
            'right': 'right', 'rightvote': 'right', 'rightisbetter': 'right', 'rightbetter': 'right',
            'rightwins': 'right', 'b': 'right', 'modelb': 'right', 'responseb': 'right', 'answerb': 'right',
            'assistantb': 'right', 'bisbetter': 'right', 'bbetter': 'right', 'bwins': 'right', 'modelbwins': 'right',
            'responseright': 'right', 'modelright': 'right', 'direita': 'right', 'adireita': 'right',
            'àdireita': 'right',
            'tie': 'tie', 'tievote': 'tie', 'tiebothgood': 'tie', 'bothgood': 'tie', 'bothgoodvote': 'tie',
            'botharegood': 'tie', 'draw': 'tie', 'equal': 'tie', 'same': 'tie', 'empate': 'tie', 'iguais': 'tie',
            'ambasboas': 'tie', 'ambosbons': 'tie',
            'bothbad': 'both_bad', 'bothbadvote': 'both_bad', 'tiebothbad': 'both_bad', 'botharebad': 'both_bad',
            'neither': 'both_bad', 'ambasruins': 'both_bad', 'ambosruins': 'both_bad', 'nenhuma': 'both_bad',
            'nenhum': 'both_bad'
        },
        -- Any other sign may turn the meaning round, so it stays, and is no word of these.
        regexp_replace(regexp_replace(lower(text), '^\s*-', '−'), '[\s_.,;:()\[\]"''/-]+', '', 'g')
    );
