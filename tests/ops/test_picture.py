"""Answers that take their time, as text."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import BugError
from morphnet.ops.picture import picture_lines, pong_text
from morphnet.ops.show import plain
from morphnet.status import MoveStatus
from tests.ops.pictures import MACHINE, NETCHECK, NOW, PONG


class PictureTests(SynchronousTestCase):
    def test_each(self) -> None:
        """There is text for each kind of answer; for another there is none."""
        self.assertIn("network of", plain(picture_lines(NETCHECK, NOW)))
        self.assertEqual(plain(picture_lines(PONG, NOW)), pong_text(PONG))
        self.assertIn("peer nas", plain(picture_lines(MACHINE.peers[1], NOW)))
        move = MoveStatus("c.example:3478", ("a",), ("b: full",))
        self.assertEqual(plain(picture_lines(move, NOW)), "1 moved to c.example:3478\nstayed: b: full")
        self.assertRaises(BugError, picture_lines, "a sentence", NOW)

    def test_pong(self) -> None:
        """An answer, none in time, and no way to ask."""
        self.assertRegex(pong_text(PONG), r"^pong from nas .* via ")
        silent = replace(PONG, rtt=None)
        self.assertRegex(pong_text(silent, 2.0), r"^no answer from nas .* within 2 s$")
        self.assertNotIn("within", pong_text(silent))
        self.assertRegex(pong_text(replace(PONG, way="none")), r"^no way to nas .* now$")
