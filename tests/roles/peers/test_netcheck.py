"""What the echoes of relays say of NATs."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.peers.netcheck import seen_of
from morphnet.traversal.reflexive import ReflexiveClient
from morphnet.wire.batch import Endpoint

DOOR, ASKED_AT = 7, 100.0
HERE = Endpoint("192.168.1.2", 41193)
ONE, OTHER = Endpoint("198.51.100.2", 41193), Endpoint("198.51.100.2", 50007)


def client(*seen: Endpoint, at: float = ASKED_AT + 0.02) -> ReflexiveClient:
    """Of a relay whose ports see our socket as these."""
    made = ReflexiveClient("203.0.113.1", (3478, 3479), bytes(8), bytes(32), bytes)
    made.use({DOOR: False}, 0.0)
    if seen:
        made.sockets[DOOR].seen.update(enumerate(seen))
        made.sockets[DOOR].answered_at = at
    return made


class SeenTests(SynchronousTestCase):
    def test_kinds(self) -> None:
        """Each kind of NAT, by what the ports of one or two relays see."""
        for clients, expected in (
            ([client(HERE, HERE)], (HERE, "none")),
            ([client(ONE, ONE)], (ONE, "same")),
            ([client(ONE), client(ONE)], (ONE, "same")),
            ([client(ONE, OTHER)], (ONE, "each")),
            ([client(ONE), client(OTHER)], (ONE, "each")),
            ([client(ONE)], (ONE, "some")),
            ([client(), client(ONE, ONE)], (ONE, "same")),
            ([client()], (None, "blocked")),
            ([], (None, "unknown")),
        ):
            self.assertEqual(seen_of(HERE, DOOR, clients, ASKED_AT), expected)

    def test_over(self) -> None:
        """What was seen before it was asked anew does not count."""
        self.assertEqual(seen_of(HERE, DOOR, [client(ONE, ONE, at=ASKED_AT - 1)], ASKED_AT), (None, "blocked"))

    def test_other_family(self) -> None:
        """A relay that is reached over IPv4 says nothing of an IPv6 socket."""
        self.assertEqual(seen_of(Endpoint("2001:db8::1", 1), DOOR + 1, [client(ONE)], ASKED_AT), (None, "unknown"))
