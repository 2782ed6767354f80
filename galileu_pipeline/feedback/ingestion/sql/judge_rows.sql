-- The last word on each prepared row, once its texts are clean: fault is NULL where it is accepted. The score is
-- (rating - 1) / 4, or 1 and 0 for a thumb; the rating wins where both are given.
CREATE TEMP VIEW IF NOT EXISTS judged_rows AS
SELECT
    * EXCLUDE (fault) REPLACE (
        query_key::UUID AS query_key,
        response_digest::UUID AS response_digest,
        chosen_digest::UUID AS chosen_digest,
        rejected_digest::UUID AS rejected_digest,
        response_left_digest::UUID AS response_left_digest,
        response_right_digest::UUID AS response_right_digest
    ),
    CASE WHEN rating IS NOT NULL THEN (rating - 1) / 4 ELSE thumbs_up::INTEGER::DOUBLE END AS score,
    coalesce(user_id, session_id)                                                          AS person,
    left(
        sha256(
            CASE kind
                WHEN 'vote' THEN concat_ws('|', feedback_id, query_digest, response_digest, score, comment_digest)
                WHEN 'choice' THEN concat_ws('|', feedback_id, query_digest, chosen_digest, rejected_digest)
                ELSE concat_ws(
                    '|', feedback_id, query_digest, response_left_digest, response_right_digest, verdict
                )
            END
        ),
        32
    )::UUID AS row_digest,
    CASE kind
        WHEN 'vote' THEN subject_of_vote(response_digest, query_key)
        WHEN 'choice' THEN subject_of_choice(chosen_digest, rejected_digest, query_key)
        ELSE subject_of_comparison(response_left_digest, response_right_digest, query_key)
    END AS subject,
    -- What it says besides that.
    CASE kind
        WHEN 'vote' THEN thumbs_up::VARCHAR
        WHEN 'choice' THEN reason
        ELSE concat_ws('|', model_left, model_right, reason)
    END AS said,
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
            WHEN kind = 'comparison' AND verdict IN ('left', 'right') AND response_left_digest = response_right_digest
                THEN ['same_responses', 'response_left and response_right are the same text']
        END
    ) AS fault
FROM prepared_rows;
