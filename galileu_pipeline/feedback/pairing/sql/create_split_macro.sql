-- The side of a question. It hangs on nothing but the key, so it never changes as data grows. The key is a digest, its
-- first digits are as good as drawn.
CREATE OR REPLACE TEMP MACRO place_of(query_key) AS
    ('0x' || left(query_key::UUID::VARCHAR, 8))::BIGINT / 4294967296.0;
CREATE OR REPLACE TEMP MACRO split_of(query_key) AS
    CASE
        WHEN place_of(query_key) < getvariable('test_fraction') THEN 'test'
        WHEN place_of(query_key) < getvariable('test_fraction') + getvariable('validation_fraction') THEN 'validation'
        ELSE 'train'
    END;
