"""Keys of the manhole that were spoilt: one sentence, or a line that is left out."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.ops.keys import Doorkeeper, load_or_make
from morphnet.ops.rundir import USER


class KeysTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A good key."""
        self.path = Path(self.mktemp())
        self.key = load_or_make(self.path)
        self.whole = self.path.read_bytes()

    def test_made_once(self) -> None:
        """What was made is found again."""
        self.assertEqual(load_or_make(self.path), self.key)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_spoilt(self) -> None:
        """Cut anywhere, or with rubbish in it: one sentence that says what to do."""
        spoilt = [self.whole[:cut] for cut in range(0, len(self.whole) - 2, 3)]
        spoilt += [self.whole[:at] + b"\0rubb" + self.whole[at + 5 :] for at in range(0, len(self.whole) - 40, 3)]
        for content in spoilt:
            self.path.write_bytes(content)
            try:
                load_or_make(self.path)
            except HostError as trouble:
                self.assertIn("remove it, then a new one is made", str(trouble))

    def test_authorized(self) -> None:
        """Of the keys that may enter, a spoilt line is left out, and the next one counts; a pipe is no list of keys."""
        line = self.key.public().toString("OPENSSH")
        allowed = Path(self.mktemp())
        for cut in range(0, len(line) - 3, 5):
            allowed.write_bytes(line[:cut] + b"\n" + line + b"\n")
            allowed.chmod(0o600)
            self.assertIn(self.key.public(), list(Doorkeeper([], allowed).getAuthorizedKeys(USER.encode())), cut)
        allowed.unlink()
        for make in (os.mkfifo, os.mkdir):
            make(allowed)
            self.assertEqual(list(Doorkeeper([], allowed).getAuthorizedKeys(USER.encode())), [])
            allowed.unlink() if make is os.mkfifo else allowed.rmdir()
