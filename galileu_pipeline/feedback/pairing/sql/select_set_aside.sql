SELECT feedback_id, person FROM set_aside ORDER BY person, feedback_id;
