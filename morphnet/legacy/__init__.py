"""The original morphProtocol, for clients and servers of before: what its bytes mean, and what a session of it is."""
