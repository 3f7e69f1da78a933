"""Slow life stories as Automat machines, with an injected clock."""
