INSERT INTO ingestions
    (ingestion, source, ingested_at, rows_in, accepted, quarantined, duplicates, last_position, last_digest)
VALUES
    ($ingestion, $source, $ingested_at, $rows_in, $accepted, $quarantined, $duplicates, $last_position, $last_digest);
