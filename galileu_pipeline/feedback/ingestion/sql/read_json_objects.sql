-- The objects of a JSON document, in its order.
SELECT json::VARCHAR AS row
FROM read_json_objects($path, format = $layout, maximum_object_size = $max_bytes);
