"""What coordinators tell each other."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame
from morphnet.wire.messages.home.calls import LONGEST_BODY
from morphnet.wire.messages.home.neighbours import NEIGHBOURS, Answered, Forgotten, Moved, Passed, Told

HOME, CALL, NAME = "h" * 43, "0" * 32, "1" * 16


class NeighbourTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        """Each comes out as it went in, the longest too."""
        body = "b" * LONGEST_BODY
        said: list[Told] = [Passed(HOME, CALL, "192.0.2.1", body, NAME), Answered(HOME, CALL, body)]
        for each in (*said, Moved(HOME, 1 << 53), Forgotten(HOME)):
            self.assertEqual(NEIGHBOURS.decode(NEIGHBOURS.encode(each)), each)

    def test_wrong(self) -> None:
        """Nothing else passes."""
        for wrong in (b"", b"{}", b'{"type":"moved","home":"x","at":1}', b'{"type":"forgotten"}'):
            self.assertRaises(MalformedFrame, NEIGHBOURS.decode, wrong)
