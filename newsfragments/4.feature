`morphnet status` on a client tells by which address the server sees each path, where a NAT stands between.
Machines of one network meet at a relay (`twistd morph-relay`) and then reach each other directly, with nothing lost in the switch or on the way back; `make demo-peers` shows it.
`ping nas` works on every machine of a mesh: peers that were met are in `/etc/hosts` for as long as morphnet runs.
The router at home is asked for a port (PCP, NAT-PMP), so that peers reach a machine behind a hard NAT without a relay.
Where UDP does not pass, peers reach each other directly by TCP: a WebSocket over TLS, also between two routers that let in only answers (`[mesh] streams`, `stream_port`).
