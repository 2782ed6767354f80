-- The reason of each refused row of a batch.
SELECT fault[1] FROM judged_rows WHERE fault IS NOT NULL;
