`twistd morph-server` and `twistd morph-client`: one multipath VPN session that survives cuts, black holes, new addresses and restarts. `make demo` shows it, `make test` proves it.
