"""Through NATs: connectivity checks, addresses seen from outside, guessed ports. Pure, like the data plane."""
