-- Rows in quarantine that are still whole.
SELECT rowid AS quarantine_row, source, position, raw
FROM feedback_quarantine
WHERE raw IS NOT NULL
ORDER BY source, position;
