-- The standing thumbs on answers of one model, the newest of them, oldest first. What is not JSON names no model.
-- Parameters: model, most.
SELECT thumbs_up
FROM (
    SELECT thumbs_up, position
    FROM standing_feedback
    WHERE
        thumbs_up IS NOT NULL
        AND instr(metadata, :model) > 0 -- cheap, and leaves few rows to parse
        AND CASE WHEN json_valid(metadata) THEN json_extract(metadata, '$.model') END = :model
    ORDER BY position DESC
    LIMIT :most
)
ORDER BY position;
