-- Personal identifiers masked in what was accepted, by kind, the most frequent first.
SELECT entry.key AS kind, sum(entry.value)::BIGINT AS found
FROM (
    SELECT unnest(map_entries(masked)) AS entry FROM feedback WHERE masked IS NOT NULL
    UNION ALL
    SELECT unnest(map_entries(masked)) FROM feedback_choices WHERE masked IS NOT NULL
    UNION ALL
    SELECT unnest(map_entries(masked)) FROM feedback_comparisons WHERE masked IS NOT NULL
)
GROUP BY kind
ORDER BY found DESC, kind;
