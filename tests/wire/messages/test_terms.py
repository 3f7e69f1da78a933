"""The terms of paths as they are sent."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import BugError, MalformedFrame
from morphnet.wire.messages.control import decode, encode
from morphnet.wire.messages.terms import MOST, PathTerms, Told, told


class TermsTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        """What is told is read as it was."""
        said = (Told(0, 10, False, 0), Told(255, 399, True, 10**11))
        signal = decode(encode(PathTerms(tuple(each.text for each in said)))[4:])
        assert isinstance(signal, PathTerms)
        self.assertEqual(tuple(map(told, signal.paths)), said)

    def test_nonsense(self) -> None:
        """Nothing else is taken."""
        for text in (
            "256 0 0 0",
            "1 0 2 0",
            "1 0 0",
            "01 0 0 0",
            "1 1000 0 0",
            "1 0 0 01",
            "1 0 0 9999999999999",
            "-1 0 0 0",
        ):
            with self.assertRaises(MalformedFrame):
                decode(b'{"type": "path-terms", "paths": ["%s"]}' % text.encode())
        with self.assertRaises(BugError):
            encode(PathTerms(("0 0 0 0",) * (MOST + 1)))
