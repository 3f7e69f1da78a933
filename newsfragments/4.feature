`morphnet status` on a client tells by which address the server sees each path, where a NAT stands between.
Machines of one network meet at a relay (`twistd morph-relay`) and then reach each other directly, with nothing lost in the switch or on the way back; `make demo-peers` shows it.
`morphnet status` shows relays, every peer and the way to it; on a relay its guests.
`morphnet why PEER` tells what was tried and decided about a peer, with times, and how it stands now.
`morphnet ping PEER` asks a peer by the way that traffic would take, and needs no root.
`morphnet netcheck` tells what NATs make of our sockets, and how far the relays are.
Six words that both ends show (`morphnet why`) tell two people, when they compare them aloud, that nobody is in between.
The console knows `peers()` on a client, and on a relay `guests()` and `drain()`.
`ping nas` works on every machine of a mesh: peers that were met are in `/etc/hosts` for as long as morphnet runs.
The router at home is asked for a port (PCP, NAT-PMP), so that peers reach a machine behind a hard NAT without a relay.
Several relay processes, on one host and on several, act as one when they share a Redis (`redis_url`).
Where UDP does not pass, peers reach each other directly by TCP: a WebSocket over TLS, also between two routers that let in only answers (`[mesh] streams`, `stream_port`). When such a way ends, another one is looked for at once.
A NAT that ends mappings after a fixed time, however they are used, is found out, and other sockets take over before the end.
`morphnet why`, `ping` and `netcheck` take `--json`.
