SELECT reason, count(*) FROM feedback_quarantine GROUP BY reason ORDER BY count(*) DESC, reason;
