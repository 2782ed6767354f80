SELECT query, response_chosen, response_rejected, reason, timestamp
FROM preference_pairs
ORDER BY rowid;
