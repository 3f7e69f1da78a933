"""A relay: where peers meet."""
