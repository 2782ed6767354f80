-- Rows that a retry accepted, or found to be here already, leave the quarantine. Returns how many.
DELETE FROM feedback_quarantine
WHERE rowid IN (
    SELECT quarantine_row
    FROM retried_rows
    JOIN judged_rows USING (ordinal)
    WHERE fault IS NULL
);
