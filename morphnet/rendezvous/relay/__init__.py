"""What a relay knows while it runs: its members, the other relays of its cluster, and who may reach whom."""
