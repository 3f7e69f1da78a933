"""How a home and its coordinator find, keep and lose each other, with an injected clock."""
