-- New side-by-side choices: each identity once, those already here passed over. Returns how many.
INSERT INTO feedback_choices BY NAME
SELECT *
FROM incoming
ANTI JOIN feedback_choices USING (feedback_id)
QUALIFY row_number() OVER (PARTITION BY feedback_id ORDER BY position) = 1;
