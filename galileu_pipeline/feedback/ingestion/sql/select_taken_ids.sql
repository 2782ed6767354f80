-- Ids made of content that rows of a source have which are still where they were (stale_rows: position).
SELECT feedback_id
FROM stored_rows
ANTI JOIN stale_rows USING (position)
WHERE source = $source
    AND length(feedback_id) >= 64
    AND left(feedback_id, 64) IN (SELECT unnest($bases::VARCHAR[]));
