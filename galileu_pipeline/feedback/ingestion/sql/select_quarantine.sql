-- The quarantine, newest first.
SELECT source, position, reason, detail, raw IS NOT NULL AS can_be_retried, quarantined_at
FROM feedback_quarantine
ORDER BY quarantined_at DESC, source, position
LIMIT $most;
