SELECT feedback_id FROM changed_rows WHERE added = getvariable('added') ORDER BY feedback_id;
