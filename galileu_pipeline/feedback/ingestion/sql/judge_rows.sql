-- The last word on each prepared row, once its texts are clean: fault is NULL where it is accepted. The score is
-- (rating - 1) / 4, or 1 and 0 for a thumb; the rating wins where both are given.
CREATE TEMP VIEW IF NOT EXISTS judged_rows AS
SELECT
    * EXCLUDE (fault),
    CASE WHEN rating IS NOT NULL THEN (rating - 1) / 4 ELSE thumbs_up::INTEGER::DOUBLE END AS score,
    coalesce(
        fault,
        CASE
            WHEN query IS NULL THEN ['missing_text', 'query is empty']
            WHEN kind = 'vote' AND response IS NULL THEN ['missing_text', 'response is empty']
            WHEN kind = 'choice' AND chosen IS NULL THEN ['missing_text', 'response_chosen is empty']
            WHEN kind = 'choice' AND rejected IS NULL THEN ['missing_text', 'response_rejected is empty']
            WHEN kind = 'comparison' AND response_left IS NULL THEN ['missing_text', 'response_left is empty']
            WHEN kind = 'comparison' AND response_right IS NULL THEN ['missing_text', 'response_right is empty']
            WHEN kind = 'vote' AND rating IS NULL AND thumbs_up IS NULL AND comment IS NULL
                THEN ['no_signal', 'no rating, no thumb and no comment']
            WHEN kind = 'choice' AND chosen_digest = rejected_digest
                THEN ['same_responses', 'response_chosen and response_rejected are the same text']
        END
    ) AS fault
FROM prepared_rows;
