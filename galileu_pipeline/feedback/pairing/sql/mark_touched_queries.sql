-- The questions about which feedback came or went after a certain ingestion (variable `after`), and those of rows that are set
-- aside, which is decided anew every time.
CREATE OR REPLACE TEMP TABLE touched AS
SELECT query_key FROM feedback WHERE ingestion > getvariable('after')
UNION
SELECT query_key FROM preferences WHERE ingestion > getvariable('after')
UNION
SELECT query_key FROM feedback_comparisons WHERE ingestion > getvariable('after')
UNION
SELECT query_key FROM feedback_history WHERE ended_in > getvariable('after')
UNION
SELECT query_key FROM set_aside;
