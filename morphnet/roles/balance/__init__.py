"""Balance: new flows are dealt out to the uplinks of a machine, without a server."""
