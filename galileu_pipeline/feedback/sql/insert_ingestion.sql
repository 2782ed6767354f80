INSERT INTO ingestions
    (source, ingested_at, rows_in, accepted, quarantined, duplicates, last_position, last_digest)
VALUES
    ($source, $ingested_at, $rows_in, $accepted, $quarantined, $duplicates, $last_position, $last_digest);
