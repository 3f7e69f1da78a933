An upload server for XMPP, `twistd morph-upload`: takes the slots of Prosody (v1, v2, `http_file_share`) and ejabberd; uploads go on from the same byte by tus 1.0.0, the IETF draft (interop versions 3, 5, 6, 8, 9) or a repeated PUT, across networks and `kill -9`.
`morphnet upload FILE` sends a file without XMPP, with a token, prints its link, and goes on from the same byte after cuts and reboots.
