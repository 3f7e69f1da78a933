While no path to the server works a client's traffic goes as it did before; `strict = true` holds it back instead. `morphnet status` says in one line what is wrong, and by its exit code.
The log has one readable line for each thing that happens, and no steps of SSH; `--log-json` makes objects of them, and `morphnet events [--follow]` shows the same.
A SIGHUP reads the settings again: a client applies at once what it can, and says what needs a restart. A closed terminal still ends a process.
Several servers: `servers = ["gw1.example", "gw2.example"]` instead of `server`. The nearest is used, the next one when it is gone (3.7 s after `kill -9`), and `morphnet status` shows which.
Where UDP does not pass, a client reaches its server by TCP: a WebSocket on the control port, on `stream_port` (443) or behind a web server (`proxy = true`); one more path of the same session, given up when UDP passes again.
`morphnet status` shows uplinks that are lost, cut or of no use, since when and why (`uplinks` in `--json`).
`morphnet status`, `why` and `netcheck` fit a terminal of less than 80 columns: no word is broken, and columns that have no room are left out.
What `--json` says is documented and stable: [docs/status.md](docs/status.md) has every name with its type and unit, and a JSON Schema beside it; both are made from the code.
What needs a restart is said to who has settings read again (`morphnet reload`, the manhole, the feed), by servers and relays too; a server applies `scheduler`, `max_sessions` and `session_timeout_s` while it runs.
`morphnet up`, `down` and `leave`: a service where systemd runs, else a process in the background; `up` waits until it is connected or says what is wrong, `down` stops whatever runs, clears away what was killed and leaves the host as it was.
`morphnet set scheduler redundant` changes one setting in the file, comments and order kept, and in the process that runs, and says whether it is applied; `morphnet set` lists all of them.
Where neither UDP nor TCP of the server gets through, a client reaches it through a relay that both know: control link and traffic, TLS from end to end.
`morphnet status` and `morphnet why` say what each counter means, one line for each that tells of more than traffic: `forged 12: datagrams whose tag is not true under any key`.
UDP that merely loses (60 %) stands by for a stream through a relay too, as for one by TCP, and is used again when it is sound.
From a stream through a relay to one by TCP: the new one works before the old one is left (0 echoes lost), and should it carry nothing the old one goes on.
A client that names its server by address finds it among several at one relay, by the certificate; where that does not tell which, the events say what to set.
