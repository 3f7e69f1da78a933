"""Disguises: what dresses a run of datagrams for the way, and undresses it. They know nothing of sessions."""
