The manhole and the feed offer the same: `ping` and `netcheck` can be asked in the manhole too, and `{"ask": "drain"}` at a relay's feed.
