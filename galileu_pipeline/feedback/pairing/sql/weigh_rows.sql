-- What each row weighs in the training data, in items: an example of SFT is one, a pair two, since both the reward data
-- and the DPO data hold it. An item is shared equally by the rows that speak for it. Rows of nobody known each stand for a
-- person of their own, and are left out.
-- Variables: sft_min_score, test_fraction, validation_fraction.
CREATE OR REPLACE TEMP TABLE weights AS
WITH shares AS (
    SELECT unnest(for_it) AS feedback_id, 2.0 / len(for_it) AS share
    FROM (SELECT list_concat(chosen_ids, rejected_ids, choice_ids) AS for_it FROM preference_pairs WHERE split = 'train')
    UNION ALL
    SELECT unnest(feedback_ids), 1.0 / len(feedback_ids)
    FROM answers
    WHERE split_of(query_key) = 'train' AND score >= getvariable('sft_min_score')
),
given AS (
    SELECT feedback_id, query_key, coalesce(user_id, session_id) AS person FROM feedback
    UNION ALL
    SELECT feedback_id, query_key, coalesce(user_id, session_id) FROM preferences
)
SELECT feedback_id, query_key, person, weight
FROM (SELECT feedback_id, fsum(share) AS weight FROM shares GROUP BY feedback_id)
JOIN given USING (feedback_id)
WHERE person IS NOT NULL;
