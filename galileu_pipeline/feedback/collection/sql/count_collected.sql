-- Of the standing votes: how many of each kind, in one row.
SELECT
    count(*)                                                           AS total_feedback,
    coalesce(sum(thumbs_up = 1), 0)                                    AS thumbs_up,
    coalesce(sum(thumbs_up = 0), 0)                                    AS thumbs_down,
    count(rating)                                                      AS ratings,
    avg(rating)                                                        AS average_rating,
    count(comment)                                                     AS comments,
    (SELECT count(*) FROM feedback)                                    AS events,
    (SELECT count(*) FROM preference_pairs)                            AS preference_pairs,
    (SELECT count(*) FROM comparisons)                                 AS comparisons,
    count(DISTINCT query)                                              AS questions,
    count(DISTINCT coalesce(user_id, session_id))                      AS people,
    min(timestamp)                                                     AS first_at,
    max(timestamp)                                                     AS last_at
FROM standing_feedback;
