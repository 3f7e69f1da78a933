An upload server for XMPP, `twistd morph-upload`: takes the slots of Prosody (v1, v2, `http_file_share`) and ejabberd; uploads go on from the same byte by tus 1.0.0, the IETF draft (interop versions 3, 5, 6, 8, 9) or a repeated PUT, across networks and `kill -9`.
`morphnet upload FILE` sends a file without XMPP, with a token, prints its link, and goes on from the same byte after cuts and reboots.
`morphnet upload init` makes an upload server and prints what Prosody, ejabberd and nginx need; `morphnet up`, `down`, `status`, `reload`, `set` and `events` know the role; `morphnet upload status`; a unit for systemd.
A change of network is noticed by `morphnet upload` within half a second; `make demo-upload` shows one upload across five networks and `kill -9`, beside Prosody's own file share.
morph-upload as a component of the XMPP server (XEP-0114, XEP-0363 1.2): slots of its own, with quotas (`user_quota`), purposes, `<file-too-large/>` and `<retry/>`.
An upload has an `X-Session-ID`, by which its owner sees how far it is; files of one content are kept once (`dedup`); `keep_free` bytes of the disk are left to others, 507 then.
The conformity list of the IETF draft is a test; `Content-Digest` of a body is compared.
Whoever shows too many slots that are none is answered 429 for a while, by address; `proxies` says whose `X-Forwarded-For` is believed.
`morphnet upload status` shows uploads under way: who, how far, from where, and how often it moved.
`morphnet doctor upload URL` uploads through the proxy in front and prints the line to change: size limit, buffering, wrong path, time-outs, methods, CORS, 104; for nginx, Caddy and Apache.
Uploads in a directory that several processes write to: who goes on takes a fencing token, and whoever was stopped meanwhile writes not a byte when it wakes.
Several upload servers with one directory and one Redis (`[shared]`): each goes on with what another began; while Redis is away uploads that began go on.
The owner of an upload is told from which networks it came, and gets a new token in the place of one that is over: ten times at most, and within 72 hours.
tus's concatenation: a file may come in parts, at the same time, on one slot.
All 51 behaviours of the draft's conformity list: uploads whose length is told last (with slots that do not cover it), `GET` of an upload that is not whole, `max_append` and `min_append`.
ClamAV by its daemon (`[scan] clamd`): a file in which it finds something does not appear, is put aside, and its uploader is told.
Clients of hmac-file-server may send chunks (`chunked-upload`, `upload-status`), with a slot's token.
Prometheus: `metrics = "127.0.0.1:PORT"` of an upload server serves `/metrics`.
The bearers of hmac-file-server's modules for ejabberd that cover name, size, user and expiry are slots; each is good for one address. Its other formats are refused.
Uploads whose length nobody has told count in `user_quota` as they grow.
What several upload servers know is noted beside the bytes too: uploads go on while Redis is away, at each server, and when Redis has forgotten everything and all begin anew.
A file that its client calls bytes is shown as the picture, sound or video that it is (puremagic).
A clock that is set changes nothing for uploads that have begun; connections that bring a byte now and then are hung up on.
Long bodies are read in larger pieces past the layers that look for requests, and files are given out by the kernel (`sendfile`), without a copy of them in the process; who takes nothing of a file for `idle_s` is hung up on.
morph-upload speaks TLS itself (`[tls] certificate`, `key`): a renewed certificate is shown when its files are there, and at `morphnet reload`, while uploads go on.
