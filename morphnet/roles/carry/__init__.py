"""UDP of other programs, carried by a session: the ports of a client, and the sockets of a server."""
