-- What one person may weigh (weigh_rows.sql), in items: `max_person_share` of all of them, or one pair with its example (three
-- items) if that is more; and a little, for sums of fractions.
-- Variables: max_person_share, sft_min_score, test_fraction, validation_fraction.
SELECT greatest(3, getvariable('max_person_share') * (
    2 * (SELECT count(*) FROM preference_pairs WHERE split = 'train')
    + (SELECT count(*) FROM answers WHERE split_of(query_key) = 'train' AND score >= getvariable('sft_min_score'))
)) + 1e-9;
