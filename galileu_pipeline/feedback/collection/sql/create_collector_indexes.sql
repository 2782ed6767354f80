-- After columns that an older file lacks were added.
CREATE INDEX IF NOT EXISTS feedback_by_id ON feedback (feedback_id);
CREATE INDEX IF NOT EXISTS preference_pairs_by_id ON preference_pairs (feedback_id);
CREATE INDEX IF NOT EXISTS comparisons_by_id ON comparisons (feedback_id);
CREATE INDEX IF NOT EXISTS feedback_by_person ON feedback (user_id, session_id);

-- The last vote of each person on each answer, by its time as in the warehouse. Who is not known by a user id is known by the session; votes of nobody
-- known all stand.
DROP VIEW IF EXISTS standing_feedback;
CREATE VIEW standing_feedback AS
WITH ranked AS (
    SELECT
        *,
        rowid AS position,
        row_number() OVER (
            PARTITION BY coalesce(user_id, session_id), query, response ORDER BY julianday(timestamp) DESC, rowid DESC
        ) AS from_last
    FROM feedback
)
SELECT
    position, timestamp, session_id, query, response, rating, thumbs_up, comment, source_documents, metadata, feedback_id,
    user_id
FROM ranked
WHERE from_last = 1 OR coalesce(user_id, session_id) IS NULL;
