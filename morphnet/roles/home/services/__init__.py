"""What a home offers a browser: each is off until it is allowed."""
