-- Rows about to be quarantined, by reason.
SELECT reason, count(*)
FROM incoming_quarantine
ANTI JOIN feedback_quarantine USING (source, position, row_digest)
GROUP BY reason
ORDER BY reason;
