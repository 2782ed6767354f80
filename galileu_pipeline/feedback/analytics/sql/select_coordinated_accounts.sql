-- Pairs of accounts whose votes look coordinated: they voted alike on the same things within the same minute, time and
-- again, and nearly always against the majority of everybody else who voted on these. The most contrary first.
--
-- A thing is an answer to a question, or the choice between two answers. A vote on an answer is for it or against it;
-- neutral ones say nothing. An account's last vote on a thing counts. Without a time, or of nobody known, it counts
-- among everybody else's alone.
--
-- What is compared stays bounded: of the accounts that voted alike on a thing in a minute by the clock, the first 50
-- are looked at, and only those that are often against the majority and not alone in it.
--
-- SET VARIABLE min_together = 5; and the like change the thresholds: min_compared, min_against_share,
-- max_minute_accounts.
WITH votes AS (
    SELECT
        coalesce(user_id, session_id)                                    AS person,
        md5_number(concat_ws('|', 'answer', response_digest, query_key)) AS thing,
        sign(score - 0.5)::INTEGER                                       AS opinion,  -- 1 for it, -1 against, 0 neutral
        occurred_at,
        ingestion,
        position,
        feedback_id
    FROM feedback
    WHERE score IS NOT NULL
    UNION ALL
    SELECT
        coalesce(user_id, session_id),
        md5_number(concat_ws(
            '|', 'choice', least(chosen_digest, rejected_digest), greatest(chosen_digest, rejected_digest), query_key
        )),
        CASE WHEN chosen_digest < rejected_digest THEN 1 ELSE -1 END,
        occurred_at,
        ingestion,
        position,
        feedback_id
    FROM preferences
),
standing AS (
    FROM votes
    QUALIFY person IS NULL
        OR row_number() OVER (
            PARTITION BY person, thing ORDER BY occurred_at DESC NULLS LAST, ingestion DESC, position DESC, feedback_id DESC
        ) = 1
),
-- `support`: how many more voted like this than the other way, this vote among them. Without two who agree, the others'
-- majority is with them from 3, and against them up to 1; at 2 there is none.
judged AS (
    SELECT
        person,
        thing,
        opinion,
        occurred_at,
        epoch(occurred_at)::BIGINT // 60                 AS minute,
        opinion * sum(opinion) OVER (PARTITION BY thing) AS support,
        count(person) OVER (PARTITION BY thing, opinion) AS alike
    FROM standing
    WHERE opinion <> 0
),
contrary AS (
    SELECT person
    FROM judged
    WHERE person IS NOT NULL AND occurred_at IS NOT NULL AND alike > 1 AND support < 2
    GROUP BY person
    HAVING count(*) >= coalesce(getvariable('min_compared'), 3) * coalesce(getvariable('min_against_share'), 0.8)
),
looked_at AS (
    FROM judged
    SEMI JOIN contrary USING (person)
    WHERE occurred_at IS NOT NULL AND alike > 1
    QUALIFY row_number() OVER (PARTITION BY thing, opinion, minute ORDER BY occurred_at, person)
        <= coalesce(getvariable('max_minute_accounts'), 50)
),
-- The minutes by the clock in which another's vote may be at most 60 seconds away.
neighbours AS (
    SELECT person, thing, opinion, occurred_at, unnest([minute - 1, minute, minute + 1]) AS minute
    FROM looked_at
)
SELECT
    one.person                                        AS one,
    other.person                                      AS other,
    count(*)                                          AS together,
    count(*) FILTER (support <> 2)                    AS compared,
    count(*) FILTER (support < 2)                     AS against,
    min(least(one.occurred_at, other.occurred_at))    AS first_at,
    max(greatest(one.occurred_at, other.occurred_at)) AS last_at
FROM looked_at AS one
JOIN neighbours AS other USING (thing, opinion, minute)
WHERE one.person < other.person
    AND abs(epoch(one.occurred_at) - epoch(other.occurred_at)) <= 60
GROUP BY one.person, other.person
HAVING together >= coalesce(getvariable('min_together'), 3)
    AND compared >= coalesce(getvariable('min_compared'), 3)
    AND against >= coalesce(getvariable('min_against_share'), 0.8) * compared
ORDER BY against DESC, together DESC, one, other;
