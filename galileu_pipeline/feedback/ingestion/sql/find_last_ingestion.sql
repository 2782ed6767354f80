-- Where the last ingestion of a source ended.
SELECT last_position, last_digest
FROM ingestions
WHERE source = $source
ORDER BY ingested_at DESC, last_position DESC
LIMIT 1;
