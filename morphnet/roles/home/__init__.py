"""The home: registers with a coordinator, lets browsers in, and serves them."""
