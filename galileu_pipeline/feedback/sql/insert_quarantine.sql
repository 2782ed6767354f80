-- Refused rows not yet in quarantine. Returns how many.
INSERT INTO feedback_quarantine BY NAME
SELECT *
FROM incoming_quarantine
ANTI JOIN feedback_quarantine USING (source, position, row_digest);
