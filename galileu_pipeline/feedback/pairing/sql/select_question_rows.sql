-- Every vote and every choice that counts, by question.
SELECT query_key, feedback_id, person
FROM given_rows
ANTI JOIN set_aside USING (feedback_id)
ORDER BY query_key, feedback_id;
