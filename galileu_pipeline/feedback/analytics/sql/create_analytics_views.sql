-- What the feedback says, as views that a person can read in the DuckDB shell: FROM analytics_worst_questions;
-- Every statement can be repeated. SET VARIABLE min_votes = 5; changes the threshold of analytics_worst_questions.
-- "Bad" is a score below 0.5: ratings 1 to under 3, thumbs down. A neutral 0.5 is not bad. Days are UTC.

-- Lower end of the 95 % Wilson score interval (Wilson 1927) of a share: few votes are not taken at their word.
CREATE OR REPLACE MACRO analytics_wilson_lower(hits, trials) AS
    (
        hits / trials + pow(1.959963984540054, 2) / (2 * trials)
        - 1.959963984540054 * sqrt(
            (hits / trials) * (1 - hits / trials) / trials + pow(1.959963984540054, 2) / (4 * pow(trials, 2))
        )
    ) / (1 + pow(1.959963984540054, 2) / trials);

-- The votes that stand: a rater's last vote on an answer, whatever it says. Votes of nobody known all stand.
CREATE OR REPLACE VIEW analytics_standing AS
SELECT coalesce(user_id, session_id) AS rater, query_key, response, rating, thumbs_up, score, comment
FROM feedback
QUALIFY coalesce(user_id, session_id) IS NULL
    OR row_number() OVER (
        PARTITION BY coalesce(user_id, session_id), query_key, response_digest
        ORDER BY occurred_at DESC NULLS LAST, ingestion DESC, position DESC, feedback_id DESC
    ) = 1;

-- The scored votes that count: a rater's last vote on an answer replaces the earlier ones. Votes of nobody known all
-- count.
CREATE OR REPLACE VIEW analytics_votes AS
SELECT coalesce(user_id, session_id) AS rater, query_key, response, score
FROM feedback
WHERE score IS NOT NULL
QUALIFY coalesce(user_id, session_id) IS NULL
    OR row_number() OVER (
        PARTITION BY coalesce(user_id, session_id), query_key, response
        ORDER BY occurred_at DESC NULLS LAST, ingestion DESC, position DESC, feedback_id DESC
    ) = 1;

-- Everything anybody gave, votes and side-by-side choices, whatever it says.
CREATE OR REPLACE VIEW analytics_events AS
SELECT occurred_at, coalesce(user_id, session_id) AS rater, query_key, query, rating, FALSE AS is_choice
FROM feedback
UNION ALL
SELECT occurred_at, coalesce(user_id, session_id), query_key, query, NULL, TRUE
FROM preferences;

-- One row: how much there is of everything.
CREATE OR REPLACE VIEW analytics_totals AS
WITH answers AS (
    SELECT query_key, response FROM feedback
    UNION
    SELECT query_key, chosen FROM preferences
    UNION
    SELECT query_key, rejected FROM preferences
)
SELECT
    count(*) FILTER (NOT is_choice)                     AS votes,
    (SELECT count(rating) FROM analytics_standing)      AS ratings,
    (SELECT count(thumbs_up) FROM analytics_standing)   AS thumbs,
    (SELECT count(comment) FROM analytics_standing)     AS comments,
    count(*) FILTER (is_choice)                         AS choices,
    (SELECT count(*) FROM preferences WHERE reason = 'correction') AS corrections,
    (SELECT count(*) FROM feedback_comparisons)         AS comparisons,
    count(DISTINCT rater)                               AS raters,
    count(DISTINCT query_key)                           AS questions,
    (SELECT count(*) FROM answers)                      AS answers,
    (SELECT count(*) FROM feedback_quarantine)          AS quarantined,
    count(*) FILTER (occurred_at IS NULL)               AS undated,
    min(occurred_at)                                    AS first_at,
    max(occurred_at)                                    AS last_at
FROM analytics_events;

CREATE OR REPLACE VIEW analytics_quarantine AS
SELECT reason, count(*) AS quarantined
FROM feedback_quarantine
GROUP BY reason
ORDER BY quarantined DESC, reason;

-- Days on which anything came; what has no time has no day. Means are rounded, so that summation order cannot show.
CREATE OR REPLACE VIEW analytics_daily_volume AS
SELECT
    occurred_at::DATE                AS day,
    count(*) FILTER (NOT is_choice)  AS votes,
    count(*) FILTER (is_choice)      AS choices,
    count(rating)                    AS ratings,
    round(favg(rating), 9)           AS mean_rating
FROM analytics_events
WHERE occurred_at IS NOT NULL
GROUP BY day
ORDER BY day;

CREATE OR REPLACE VIEW analytics_thumbs AS
SELECT
    count(*) FILTER (thumbs_up)                                 AS up,
    count(*) FILTER (NOT thumbs_up)                             AS down,
    count(*) FILTER (thumbs_up) / nullif(count(thumbs_up), 0)   AS share_up
FROM analytics_standing;

-- Always five rows. A fractional rating counts for the nearest whole one, halves for the upper.
CREATE OR REPLACE VIEW analytics_rating_distribution AS
SELECT whole.rating, count(votes.rating) AS ratings
FROM (SELECT unnest([1, 2, 3, 4, 5]) AS rating) AS whole
LEFT JOIN analytics_standing AS votes ON floor(votes.rating + 0.5) = whole.rating
GROUP BY whole.rating
ORDER BY whole.rating;

-- Every question in its most frequent wording, the most common first.
CREATE OR REPLACE VIEW analytics_common_questions AS
WITH wordings AS (
    SELECT query_key, query, count(*) AS uses
    FROM analytics_events
    GROUP BY query_key, query
),
scores AS (
    SELECT query_key, round(favg(score), 9) AS mean_score
    FROM analytics_votes
    GROUP BY query_key
)
SELECT
    query_key,
    first(query ORDER BY uses DESC, query) AS question,
    sum(uses)::BIGINT                      AS uses,
    any_value(mean_score)                  AS mean_score
FROM wordings
LEFT JOIN scores USING (query_key)
GROUP BY query_key
ORDER BY uses DESC, question;

-- Questions with bad votes and enough votes, the surest failure first.
CREATE OR REPLACE VIEW analytics_worst_questions AS
WITH tallies AS (
    SELECT
        query_key,
        count(*)                          AS votes,
        count(*) FILTER (score < 0.5)     AS bad_votes,
        round(favg(score), 9)             AS mean_score
    FROM analytics_votes
    GROUP BY query_key
    HAVING votes >= coalesce(getvariable('min_votes'), 3) AND bad_votes > 0
)
SELECT
    query_key,
    question,
    votes,
    bad_votes,
    bad_votes / votes                                   AS bad_share,
    round(analytics_wilson_lower(bad_votes, votes), 9)  AS bad_share_lower,
    tallies.mean_score                                  AS mean_score
FROM tallies
JOIN analytics_common_questions USING (query_key)
ORDER BY bad_share_lower DESC, votes DESC, mean_score, question;

-- How each rater differs from the others on the same answers, the strictest first. mean_deviation is NULL for a rater
-- whose answers nobody else scored.
CREATE OR REPLACE VIEW analytics_rater_strictness AS
WITH answers AS (
    SELECT query_key, response, fsum(score) AS total, count(*) AS answer_votes
    FROM analytics_votes
    GROUP BY query_key, response
)
SELECT
    rater,
    count(*)                                                                  AS votes,
    round(favg(score), 9)                                                     AS mean_score,
    count(*) FILTER (answer_votes > 1)                                        AS compared_votes,
    round(favg(score - (total - score) / nullif(answer_votes - 1, 0)), 9) + 0 AS mean_deviation,  -- + 0: no -0.0
    count(*) FILTER (score < 0.5) / count(*)                                  AS bad_share
FROM analytics_votes
JOIN answers USING (query_key, response)
WHERE rater IS NOT NULL
GROUP BY rater
ORDER BY mean_deviation NULLS LAST, mean_score, votes DESC, rater;

-- How often each answer with two ratings or more got each rating: what Krippendorff's alpha is made of. A rater's last
-- rating of an answer replaces the earlier ones. Fractional ratings stay what they are.
CREATE OR REPLACE VIEW analytics_rating_counts AS
WITH last_ratings AS (
    SELECT query_key, response, rating
    FROM feedback
    WHERE rating IS NOT NULL
    QUALIFY coalesce(user_id, session_id) IS NULL
        OR row_number() OVER (
            PARTITION BY coalesce(user_id, session_id), query_key, response
            ORDER BY occurred_at DESC NULLS LAST, ingestion DESC, position DESC, feedback_id DESC
        ) = 1
)
SELECT query_key, response, rating, count(*) AS ratings
FROM last_ratings
GROUP BY query_key, response, rating
QUALIFY sum(ratings) OVER (PARTITION BY query_key, response) >= 2
ORDER BY query_key, response, rating;

-- Words that say nothing about a complaint, Portuguese and English, without accents so that "nao" is found as well.
-- The halves of "don't" and "doesn't" are among them.
CREATE OR REPLACE VIEW analytics_stop_words AS
SELECT DISTINCT strip_accents(word) AS word
FROM (
    SELECT unnest(regexp_extract_all('
        ainda algo alguém algum alguma algumas alguns ali antes ao aos apenas após aquela aquelas aquele aqueles aqui
        aquilo assim até bem cada com como contra cujo cuja da das dela delas dele deles depois desde dessa dessas
        desse desses desta destas deste destes deve dever disso disto dos duas durante ela elas ele eles embora enquanto
        entre era eram essa essas esse esses esta estamos estão estar estas estava estavam este esteja estes esteve
        estou está estes eu faz fazer fez foi for fora foram fosse fui havia haver hoje isso isto já lá lhe lhes logo
        mais mas me mesma mesmas mesmo mesmos meu meus minha minhas muita muitas muito muitos na nada nas nem nenhum
        nenhuma nessa nesse nesta neste ninguém no nos nossa nossas nosso nossos num numa não nós onde os ou outra
        outras outro outros para pela pelas pelo pelos per pode podem poder pois por porém porque porquê pra pro pude
        qual quais qualquer quando quanto que quem quer quê se seja sejam sem sempre sendo ser será serão seu seus
        sido sim sob sobre somos sou sua suas são só tal também tampouco tanta tanto te tem têm temos tenha tenho ter
        teria teu teus teve tinha tinham tive toda todas todo todos tua tuas tudo tão uma umas uns vai vão vez vezes
        você vocês vos vou

        about above after again against all also although always among and another any anything are aren around because
        been before being below between both but can cannot could couldn did didn does doesn doing don done down during
        each either else even ever every few for from further get gets getting give given gives got had hadn has hasn
        have haven having her here hers herself him himself his how however into isn its itself just let like made make
        makes many may maybe might mine more most much must mustn myself neither never nor not nothing now off often
        once one only other others ought our ours ourselves out over own per perhaps quite rather really same shall shan
        she should shouldn since some something still such than that the their theirs them themselves then there these
        they thing things this those though through thus too toward under until upon use used using very was wasn way
        well were weren what when where whether which while who whom whose why will with within without won would
        wouldn yes yet you your yours yourself yourselves
    ', '[\p{L}]+')) AS word
);

-- Words of three letters and more in the comments of bad votes; a word counts once a comment.
CREATE OR REPLACE VIEW analytics_complaint_words AS
WITH words AS (
    SELECT unnest(list_distinct(regexp_extract_all(lower(nfc_normalize(comment)), '[\p{L}\p{M}]{3,}'))) AS word
    FROM analytics_standing
    WHERE score < 0.5 AND comment IS NOT NULL
)
SELECT words.word, count(*) AS comments
FROM words
ANTI JOIN analytics_stop_words AS stop ON stop.word = strip_accents(words.word)
GROUP BY words.word
ORDER BY comments DESC, words.word;

-- Two models side by side: how often each won, over the votes between them. A tie and "both bad" decide nothing.
CREATE OR REPLACE VIEW analytics_duels AS
WITH sides AS (
    SELECT
        least(model_left, model_right)    AS model,
        greatest(model_left, model_right) AS rival,
        CASE
            WHEN verdict NOT IN ('left', 'right') THEN verdict
            WHEN (verdict = 'left') = (model_left = least(model_left, model_right)) THEN 'won'
            ELSE 'lost'
        END AS outcome
    FROM model_votes
)
SELECT
    model,
    rival,
    count(*)                                  AS votes,
    count(*) FILTER (outcome = 'won')         AS won,
    count(*) FILTER (outcome = 'lost')        AS lost,
    count(*) FILTER (outcome = 'tie')         AS ties,
    count(*) FILTER (outcome = 'both_bad')    AS both_bad
FROM sides
GROUP BY model, rival
ORDER BY votes DESC, model, rival;
