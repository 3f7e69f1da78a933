`morphnet status` on a client tells by which address the server sees each path, where a NAT stands between.
