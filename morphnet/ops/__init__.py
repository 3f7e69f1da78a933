"""See and touch a running node."""
