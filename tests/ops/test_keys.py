"""Keys of the manhole that were spoilt: one sentence."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.ops.keys import load_or_make, public_line


class KeysTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A good key."""
        self.path = Path(self.mktemp())
        self.key = load_or_make(self.path)
        self.whole = self.path.read_bytes()

    def test_made_once(self) -> None:
        """What was made is found again."""
        self.assertEqual(public_line(load_or_make(self.path)), public_line(self.key))
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
