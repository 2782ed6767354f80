-- Every answer anybody scored to a touched question: the mean score over raters, without rows that are set aside. A
-- rater's last vote on an answer replaces the earlier ones (by its time; of equal times or none, by what was read later);
-- who is not known by a user id is known by the session.
DELETE FROM answers WHERE query_key IN (FROM touched);
INSERT INTO answers BY NAME
WITH votes AS (
    SELECT
        feedback_id, query_key, response_digest, score, ingestion, position, occurred_at,
        coalesce(user_id, session_id)           AS rater,
        hash(rater, query_key, response_digest) AS place
    FROM feedback
    SEMI JOIN touched USING (query_key)
    ANTI JOIN set_aside USING (feedback_id)
    WHERE score IS NOT NULL
),
-- Most people vote once on an answer, and only the others' votes are put in order.
repeated AS (
    SELECT place FROM votes GROUP BY place HAVING count(*) > 1
),
last_votes AS (
    FROM votes ANTI JOIN repeated USING (place)
    UNION ALL
    FROM votes SEMI JOIN repeated USING (place)
    QUALIFY rater IS NULL
        OR row_number() OVER (
            PARTITION BY rater, query_key, response_digest
            ORDER BY occurred_at DESC NULLS LAST, ingestion DESC, position DESC, feedback_id DESC
        ) = 1
)
SELECT
    query_key,
    response_digest,
    round(favg(score), 9)                  AS score,  -- rounded: summation order cannot make or break a tie
    count(*)                               AS votes,
    list(feedback_id ORDER BY feedback_id) AS feedback_ids
FROM last_votes
GROUP BY query_key, response_digest;
