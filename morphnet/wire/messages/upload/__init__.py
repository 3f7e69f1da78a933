"""What uploads say: slots, and the ways to resume."""
