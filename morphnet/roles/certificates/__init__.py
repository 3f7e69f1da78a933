"""Certificates while a process runs: renewed in time, revoked, and the lists of what is revoked spread."""
