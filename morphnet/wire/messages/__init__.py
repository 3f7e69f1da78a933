"""Messages on control links, lines to relays and between relays, as values and as bytes."""
