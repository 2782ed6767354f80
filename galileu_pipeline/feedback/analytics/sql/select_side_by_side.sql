-- Every vote between two models that counts, as `leaderboard.Vote` has it.
SELECT model_left, model_right, verdict, person, length_left, length_right
FROM model_votes
ORDER BY person, feedback_id;
