-- The questions of a dataset's splits, each once: the user's last message.
SELECT DISTINCT list_filter(prompt, lambda message: message.role = 'user')[-1].content AS question
FROM read_parquet(coalesce(getvariable('splits'), ['train.parquet', 'test.parquet']))
ORDER BY question;
