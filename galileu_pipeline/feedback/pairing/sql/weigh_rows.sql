-- What each row weighs in the training data, in items: an example of SFT is one, a pair two, since both the reward data
-- and the DPO data hold it. An item is shared equally by the rows that speak for it.
-- Variables: sft_min_score, test_fraction, validation_fraction.
CREATE OR REPLACE TEMP TABLE weights AS
WITH shares AS (
    SELECT feedback_id, 2.0 / count(*) OVER (PARTITION BY pair_id) AS share
    FROM pair_sources
    JOIN preference_pairs USING (pair_id)
    WHERE split = 'train' AND role IN ('chosen', 'rejected', 'choice')
    UNION ALL
    SELECT unnest(feedback_ids), 1.0 / len(feedback_ids)
    FROM answers
    WHERE split_of(query_key) = 'train' AND score >= getvariable('sft_min_score')
)
SELECT feedback_id, fsum(share) AS weight
FROM shares
GROUP BY feedback_id;
