"""Keys of operators that were spoilt: a line that is left out."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.conch.ssh.keys import Key
from twisted.trial.unittest import SynchronousTestCase

from morphnet.ops.doorkeeper import Doorkeeper
from morphnet.ops.rundir import USER


class DoorkeeperTests(SynchronousTestCase):
    def test_authorized(self) -> None:
        """Of the keys that may enter, a spoilt line is left out, and the next one counts; a pipe is no list of keys."""
        key = Key(Ed25519PrivateKey.generate())
        line = key.public().toString("OPENSSH")
        allowed = Path(self.mktemp())
        for cut in range(0, len(line) - 3, 5):
            allowed.write_bytes(line[:cut] + b"\n" + line + b"\n")
            allowed.chmod(0o600)
            self.assertIn(key.public(), list(Doorkeeper([], allowed).getAuthorizedKeys(USER.encode())), cut)
        allowed.unlink()
        for make in (os.mkfifo, os.mkdir):
            make(allowed)
            self.assertEqual(list(Doorkeeper([], allowed).getAuthorizedKeys(USER.encode())), [])
            allowed.unlink() if make is os.mkfifo else allowed.rmdir()
