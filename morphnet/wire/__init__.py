"""Bytes to values and back: no clock, no entropy, no I/O."""
