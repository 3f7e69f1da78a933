"""Options and makeService of each twistd command: wiring only."""
