"""What an operator may set: a dataclass per role, read from TOML and from the command line."""
