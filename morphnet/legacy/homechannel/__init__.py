"""The original HomeChannel: its home servers and its browser client, as a coordinator meets them."""
