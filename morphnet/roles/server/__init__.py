"""A server: the sessions of its clients."""
