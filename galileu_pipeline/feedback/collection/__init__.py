"""What people click, kept at once."""
