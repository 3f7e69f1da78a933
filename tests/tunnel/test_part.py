"""What each end of a session does."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.part import Part


class PartTests(SynchronousTestCase):
    def test_two_ends(self) -> None:
        """Of each pair one end opens paths and the other one follows; peers are not servers."""
        for opens, follows, of_peers in ((Part.CLIENT, Part.SERVER, False), (Part.CALLER, Part.CALLED, True)):
            self.assertEqual((opens.follows, follows.follows), (False, True))
            self.assertEqual((opens.of_peers, follows.of_peers), (of_peers, of_peers))
