-- What the person weighs who weighs most, in items.
SELECT coalesce(max(weight), 0) FROM (SELECT fsum(weight) AS weight FROM weights GROUP BY person);
