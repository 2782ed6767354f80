-- Every answer anybody scored to a touched question: the mean score over raters, without rows that are set aside. A rater's last vote on an answer
-- replaces the earlier ones (by its time; of equal times or none, by what was read later); who is not known by a user id is known by the session. Long texts are fetched last.
DELETE FROM answers WHERE query_key IN (FROM touched);
INSERT INTO answers BY NAME
WITH votes AS (
    SELECT
        rowid AS vote, feedback_id, query_key, response_digest, score, ingestion, position, occurred_at,
        coalesce(user_id, session_id) AS rater
    FROM feedback
    SEMI JOIN touched USING (query_key)
    ANTI JOIN set_aside USING (feedback_id)
    WHERE score IS NOT NULL
),
last_votes AS (
    FROM votes
    QUALIFY rater IS NULL
        OR row_number() OVER (
            PARTITION BY rater, query_key, response_digest
            ORDER BY occurred_at DESC NULLS LAST, ingestion DESC, position DESC, feedback_id DESC
        ) = 1
),
scored AS (
    SELECT
        query_key,
        response_digest,
        min(vote)                              AS vote,
        round(favg(score), 9)                  AS score,  -- rounded: summation order cannot make or break a tie
        count(*)                               AS votes,
        list(feedback_id ORDER BY feedback_id) AS feedback_ids
    FROM last_votes
    GROUP BY query_key, response_digest
)
SELECT scored.* EXCLUDE (vote), feedback.response
FROM scored
JOIN feedback ON feedback.rowid = scored.vote;
