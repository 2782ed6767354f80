-- Of a warehouse whose questions and answers were known by texts of their keys: digests instead. What is derived is dropped,
-- and made again by the next pairing.
DROP VIEW IF EXISTS analytics_masked;
DROP VIEW IF EXISTS model_votes;
DROP VIEW IF EXISTS withdrawals;
DROP VIEW IF EXISTS preferences;
DROP TABLE IF EXISTS set_aside;
DROP TABLE IF EXISTS answers;
DROP TABLE IF EXISTS queries;
DROP TABLE IF EXISTS preference_pairs;
DROP TABLE IF EXISTS pair_sources;
DELETE FROM derived_tables;
ALTER TABLE feedback ALTER query_key TYPE UUID USING left(sha256(query_key), 32)::UUID;
ALTER TABLE feedback ALTER response_digest TYPE UUID;
ALTER TABLE feedback_choices ALTER query_key TYPE UUID USING left(sha256(query_key), 32)::UUID;
ALTER TABLE feedback_choices ALTER chosen_digest TYPE UUID;
ALTER TABLE feedback_choices ALTER rejected_digest TYPE UUID;
ALTER TABLE feedback_comparisons ALTER query_key TYPE UUID USING left(sha256(query_key), 32)::UUID;
ALTER TABLE feedback_comparisons ALTER response_left_digest TYPE UUID;
ALTER TABLE feedback_comparisons ALTER response_right_digest TYPE UUID;
ALTER TABLE feedback_history ALTER query_key TYPE UUID USING left(sha256(query_key), 32)::UUID;
