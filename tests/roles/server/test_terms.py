"""What a client tells of its paths."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.server.terms import terms_told
from morphnet.tunnel.terms import BACKUP, ENDLESS, METERED, MOST, Terms
from morphnet.wire.messages.terms import PathTerms


class ToldTests(SynchronousTestCase):
    def test_told(self) -> None:
        """Levels beyond ours are the last; no rate is no bound."""
        told = PathTerms(("0 10 0 0", "3 310 1 1000000", "7 999 0 0"))
        self.assertEqual(
            terms_told(told), {0: Terms(10, False, ENDLESS), 3: Terms(BACKUP + METERED + 10, True, 1e6), 7: Terms(MOST)}
        )
