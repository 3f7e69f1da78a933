"""The other machines of a network: met at relays, reached directly where that is possible."""
