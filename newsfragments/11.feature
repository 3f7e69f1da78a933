The manhole and the feed offer the same: `ping` and `netcheck` can be asked in the manhole too, and `{"ask": "drain"}` at a relay's feed.
`status --watch` no longer reads every decision about every peer each second; `why` asks for those of one peer. The manhole has a word `relays`.
