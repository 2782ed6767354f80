-- The side of a question. It hangs on nothing but the key, so it never changes as data grows.
CREATE OR REPLACE TEMP MACRO split_of(query_key) AS
    CASE
        WHEN ('0x' || left(sha256(query_key), 8))::BIGINT / 4294967296.0 < coalesce(getvariable('test_fraction'), 0.2)
        THEN 'test' ELSE 'train'
    END;
