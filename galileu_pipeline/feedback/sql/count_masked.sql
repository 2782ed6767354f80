-- Personal identifiers masked in accepted rows, by kind.
SELECT entry.key AS kind, sum(entry.value)::BIGINT AS found
FROM (
    SELECT unnest(map_entries(masked)) AS entry FROM feedback WHERE masked IS NOT NULL
    UNION ALL
    SELECT unnest(map_entries(masked)) FROM feedback_choices WHERE masked IS NOT NULL
    UNION ALL
    SELECT unnest(map_entries(masked)) FROM feedback_comparisons WHERE masked IS NOT NULL
)
GROUP BY kind
ORDER BY kind;
