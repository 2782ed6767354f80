-- Of a warehouse that has the digests of its rows as text, and no bound of what people weigh. Everything is paired again.
ALTER TABLE feedback ALTER row_digest TYPE UUID;
ALTER TABLE feedback_choices ALTER row_digest TYPE UUID;
ALTER TABLE feedback_comparisons ALTER row_digest TYPE UUID;
ALTER TABLE feedback_history ALTER row_digest TYPE UUID;
DROP TABLE derived_tables;
