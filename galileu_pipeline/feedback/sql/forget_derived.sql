-- All that was made of feedback leaves the warehouse; the next pairing makes it anew of what is left.
DELETE FROM derived_tables;
DELETE FROM set_aside;
DELETE FROM answers;
DELETE FROM queries;
DELETE FROM preference_pairs;
