"""Writing to an upload."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.http import BodyCut
from morphnet.rendezvous.transfer import Turns
from morphnet.roles.upload.pen import Brim, Differs, Overrun, Pen
from morphnet.store.base import UploadRecord
from morphnet.store.vault import Vault


class PenTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.vault, self.turns, self.counts = Vault(Path(self.mktemp())), Turns(), Counter[str]()
        self.partial = self.vault.partial("a")
        self.addCleanup(self.partial.close)
        self.partial.append(b"0123456789")

    def pen(self, at: int, *, announced: bool = False) -> Pen:
        record = UploadRecord("a", 20, "", "", 1, announced=announced)
        return Pen(self.partial, self.turns.take("a", lambda: None), record, at, self.counts)

    def test_compared(self) -> None:
        """What is there is compared, and the rest written behind it, up to the file's length."""
        pen = self.pen(4, announced=True)
        for data in (b"456", b"789abc", b"defghij"):
            pen.take(data)
        self.assertEqual((pen.at, self.partial.length, self.counts["uploaded_bytes"]), (20, 20, 10))
        self.assertEqual(self.partial.agrees(b"0123456789abcdefghij", 0), 20)
        self.assertRaises(Overrun, pen.take, b"x")

    def test_other_bytes(self) -> None:
        """They take the place of what nobody was told of, and of nothing else."""
        self.assertRaises(Differs, self.pen(0, announced=True).take, b"01xx")
        self.assertEqual(self.partial.length, 10)
        self.pen(0).take(b"01xx")
        self.assertEqual((self.partial.length, self.partial.agrees(b"01xx", 0)), (4, 4))

    def test_turn(self) -> None:
        """Nothing is written once another has the turn."""
        pen = self.pen(10)
        self.pen(10).take(b"ab")
        self.assertRaises(BodyCut, pen.take, b"xy")
        self.assertEqual(self.partial.length, 12)

    def test_room(self) -> None:
        """Up to where there is room it is written, and the rest is given back; beyond its length nothing is."""
        pen = self.pen(8)
        pen.room = 13
        rest = self.assertRaises(Brim, pen.take, b"89abcde").rest
        self.assertEqual((rest, self.partial.length, pen.at), (b"de", 13, 13))
        pen.room = 15
        pen.take(rest)
        self.assertEqual(self.assertRaises(Brim, pen.take, b"f").rest, b"f")
        pen.room = 99
        self.assertRaises(Overrun, pen.take, b"fghijk")
        pen.take(b"fghij")
        self.assertEqual(self.partial.length, 20)
