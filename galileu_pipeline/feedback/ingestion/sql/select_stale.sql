-- What was read from stale positions of a source (stale_rows: position) before this ingestion, and whether the row that
-- came in its place is about the same.
SELECT old.kind, old.feedback_id, coalesce(bool_or(new.subject = old.subject), FALSE) AS same_subject
FROM (SELECT * FROM stored_rows WHERE source = $source AND ingestion < $ingestion) AS old
SEMI JOIN stale_rows USING (position)
LEFT JOIN (SELECT * FROM stored_rows WHERE source = $source AND ingestion = $ingestion) AS new USING (position)
GROUP BY old.kind, old.feedback_id;
