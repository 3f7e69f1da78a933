"""What carries."""
