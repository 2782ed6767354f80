"""What the feedback says, in numbers, pictures and pages."""
