-- The ids of a layer that are here already.
-- Asked from the small side: a table is scanned once a layer, never hashed.
SELECT 'vote' AS kind, feedback_id
FROM feedback
SEMI JOIN (FROM prepared_rows WHERE kind = 'vote') AS arriving USING (feedback_id)
UNION ALL
SELECT 'choice', feedback_id
FROM feedback_choices
SEMI JOIN (FROM prepared_rows WHERE kind = 'choice') AS arriving USING (feedback_id)
UNION ALL
SELECT 'comparison', feedback_id
FROM feedback_comparisons
SEMI JOIN (FROM prepared_rows WHERE kind = 'comparison') AS arriving USING (feedback_id);
