-- Changed rows by person, the most first; person NULL for rows of nobody known.
SELECT person, count(*)
FROM changed_rows
WHERE added = getvariable('added')
GROUP BY person
ORDER BY count(*) DESC, person;
