-- Rows of a person (or the one row) that kept something out of the data, by file and kind: `pair` or `example`.
SELECT filename, kind, count(DISTINCT feedback_id) AS feedback_rows
FROM read_parquet(coalesce(getvariable('files'), ['kept_out.parquet']), filename => true)
WHERE CASE getvariable('what') WHEN 'person' THEN person ELSE feedback_id END = getvariable('wanted')
GROUP BY filename, kind;
