-- As if the rows of a person (variable `person`), and those after a day (variable `until`), had never come; either may be
-- NULL. To be undone at the end.
DELETE FROM feedback
WHERE coalesce(coalesce(user_id, session_id) = getvariable('person'), false)
    OR coalesce(occurred_at >= getvariable('until')::DATE + 1, false);
DELETE FROM feedback_choices
WHERE coalesce(coalesce(user_id, session_id) = getvariable('person'), false)
    OR coalesce(occurred_at >= getvariable('until')::DATE + 1, false);
DELETE FROM feedback_comparisons
WHERE coalesce(coalesce(user_id, session_id) = getvariable('person'), false)
    OR coalesce(occurred_at >= getvariable('until')::DATE + 1, false);
