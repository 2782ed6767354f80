-- Refused rows not yet in quarantine. Returns each reason with its number of rows.
INSERT INTO feedback_quarantine BY NAME
SELECT row_digest, $source AS source, position, reason, detail, raw, $now AS quarantined_at
FROM refused_rows
ANTI JOIN feedback_quarantine USING (row_digest)
RETURNING reason;
