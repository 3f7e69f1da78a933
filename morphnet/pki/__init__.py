"""The network's own CA: who may talk to whom, and for how long."""
