"""What the processes are: client, server, relay, and the peers of a client. Without reactor import."""
