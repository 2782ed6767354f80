-- How often one person orders two answers to a question as all the others together do. Of a person's scores of an answer,
-- and choices between two, the last counts; who is not known by a user id is known by the session, others not at all.
-- Where the person or the others are undecided there is nothing to compare.
WITH votes AS (
    SELECT
        query_key, response_digest, score, occurred_at, ingestion, position, feedback_id,
        coalesce(user_id, session_id) AS person,
        hash(person, query_key)       AS place
    FROM feedback
    WHERE score IS NOT NULL AND person IS NOT NULL
),
-- In the others nobody scored two answers.
questions AS (
    FROM votes SEMI JOIN (SELECT place FROM votes GROUP BY place HAVING count(*) > 1) AS repeated USING (place)
),
scores AS (
    SELECT person, query_key, response_digest, score
    FROM votes
    SEMI JOIN questions USING (query_key)
    QUALIFY row_number() OVER (
        PARTITION BY person, query_key, response_digest
        ORDER BY occurred_at DESC NULLS LAST, ingestion DESC, position DESC, feedback_id DESC
    ) = 1
),
beside_others AS (
    SELECT
        *,
        (sum(score) OVER answer - score) / nullif(count(*) OVER answer - 1, 0) AS of_others
    FROM scores
    WINDOW answer AS (PARTITION BY query_key, response_digest)
),
ratings AS (
    SELECT
        sign(round(one.score - other.score, 9))         AS own,
        sign(round(one.of_others - other.of_others, 9)) AS of_others
    FROM beside_others AS one
    JOIN beside_others AS other
        ON
            one.person = other.person
            AND one.query_key = other.query_key
            AND one.response_digest < other.response_digest
),
last_choices AS (
    SELECT
        query_key,
        least(chosen_digest, rejected_digest)                       AS one,
        greatest(chosen_digest, rejected_digest)                    AS other,
        if(chosen_digest = least(chosen_digest, rejected_digest), 1, -1) AS own
    FROM preferences
    WHERE coalesce(user_id, session_id) IS NOT NULL
    QUALIFY row_number() OVER (
        PARTITION BY coalesce(user_id, session_id), query_key, one, other
        ORDER BY occurred_at DESC NULLS LAST, ingestion DESC, position DESC, feedback_id DESC
    ) = 1
),
choices AS (
    SELECT own, sign(sum(own) OVER (PARTITION BY query_key, one, other) - own) AS of_others
    FROM last_choices
),
compared AS (
    SELECT own, of_others FROM ratings
    UNION ALL
    SELECT own, of_others FROM choices
)
SELECT count(*) FILTER (own = of_others) AS agreeing, count(*) AS compared
FROM compared
WHERE own <> 0 AND of_others <> 0;
