"""A client: the session with its server, and its paths over the uplinks."""
