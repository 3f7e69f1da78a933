While no path to the server works a client's traffic goes as it did before; `strict = true` holds it back instead. `morphnet status` says in one line what is wrong, and by its exit code.
