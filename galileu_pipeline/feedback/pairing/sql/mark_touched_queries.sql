-- The questions about which feedback came after a certain ingestion (variable `after`), and those of rows that are set
-- aside, which is decided anew every time.
CREATE OR REPLACE TEMP TABLE touched AS
SELECT query_key FROM feedback WHERE ingestion > getvariable('after')
UNION
SELECT query_key FROM feedback_choices WHERE ingestion > getvariable('after')
UNION
SELECT query_key FROM set_aside;
