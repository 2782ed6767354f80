INSERT INTO ingestions
    (ingestion, source, ingested_at, rows_in, accepted, quarantined, duplicates)
VALUES
    ($ingestion, $source, $ingested_at, $rows_in, $accepted, $quarantined, $duplicates);
