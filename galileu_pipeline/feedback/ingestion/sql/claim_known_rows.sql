-- Rows that a table of the chatbot's file has too, known from elsewhere, follow that table from now on.
-- Variables: source, ingestion.
UPDATE feedback SET source = getvariable('source'), position = met.position, ingestion = getvariable('ingestion')
FROM (FROM met_rows WHERE outcome = 'known' AND kind = 'vote') AS met
WHERE feedback.feedback_id = met.feedback_id;
UPDATE feedback_choices SET source = getvariable('source'), position = met.position, ingestion = getvariable('ingestion')
FROM (FROM met_rows WHERE outcome = 'known' AND kind = 'choice') AS met
WHERE feedback_choices.feedback_id = met.feedback_id;
UPDATE feedback_comparisons
SET source = getvariable('source'), position = met.position, ingestion = getvariable('ingestion')
FROM (FROM met_rows WHERE outcome = 'known' AND kind = 'comparison') AS met
WHERE feedback_comparisons.feedback_id = met.feedback_id;
