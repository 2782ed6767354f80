"""From any source into the warehouse: read, cleaned, masked, judged."""
