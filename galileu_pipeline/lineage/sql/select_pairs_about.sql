-- The pairs of a dataset about some questions, with their side of the split.
SELECT list_filter(prompt, lambda message: message.role = 'user')[-1].content AS question,
    parse_filename(filename, true) AS side, pair_id AS item_id, chosen[-1].content AS answer, rejected[-1].content AS rejected
FROM read_parquet(coalesce(getvariable('splits'), ['train.parquet', 'test.parquet']), filename => true)
WHERE question IN (SELECT unnest(getvariable('questions')))
ORDER BY question, side DESC, item_id;
