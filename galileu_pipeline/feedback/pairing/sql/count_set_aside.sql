SELECT person, count(*) FROM set_aside GROUP BY person ORDER BY count(*) DESC, person;
