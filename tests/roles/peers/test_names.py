"""When names are written."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.roles.peers.names import GATHER, Names, PeerNames

BERT: Names = {"bert": ("10.73.0.3",)}
BOTH: Names = {**BERT, "nas": ("10.73.0.4",)}


class PeerNamesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.written: list[Names] = []
        self.refused = False
        self.names = PeerNames(self.write, self.clock)

    def write(self, names: Names) -> None:
        if self.refused:
            raise HostError("no space left on device")
        self.written.append(names)

    def are(self, *each: Names, then: float = GATHER) -> None:
        """One after the other, within no time."""
        for names in each:
            self.names.are(names)
        self.clock.advance(then)

    def test_gathered(self) -> None:
        """Many that come at once are written once; one that is back at once is no change."""
        self.are(BERT, BOTH)
        self.are(BERT, BOTH)
        self.are({})
        self.assertEqual(self.written, [BOTH, {}])

    def test_not_put_off(self) -> None:
        """Who comes and goes all the time does not keep the others from being known."""
        for _ in range(4):
            self.are(BERT, then=GATHER / 2)
            self.are(BOTH, then=GATHER / 2)
        self.assertEqual(self.written, [BOTH])

    def test_refused(self) -> None:
        """What could not be written is tried again with the next change, even if it is none."""
        self.refused = True
        self.are(BERT)
        self.refused = False
        self.are(BERT)
        self.assertEqual(self.written, [BERT])

    def test_closed(self) -> None:
        """Nothing is written after the end, whoever goes then."""
        self.names.are(BERT)
        self.names.close()
        self.are({})
        self.assertEqual((self.written, self.clock.getDelayedCalls()), ([], []))
