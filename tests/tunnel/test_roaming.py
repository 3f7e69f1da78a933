"""Where the other end is: told by an address that has proved itself."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.tunnel.connection_ids import ConnectionIds
from morphnet.tunnel.events import Counts, Effects, PathMoved
from morphnet.tunnel.lateness import Lateness
from morphnet.tunnel.migration import CHALLENGES, RECHALLENGE
from morphnet.tunnel.part import Part
from morphnet.tunnel.path import UNSETTLED, Path, State
from morphnet.tunnel.pathtable import PathTable, Shared
from morphnet.tunnel.roaming import FAREWELL, SETTLED, Roaming
from morphnet.wire.batch import Arrival, Endpoint, Train
from morphnet.wire.frames import TOKEN, Challenge, Response
from morphnet.wire.header import IP, PLAIN, TO_SERVER, Header
from tests.tunnel.test_outbound import FAR, outbound

ELSEWHERE, THIRD = Endpoint("198.51.100.7", 4711), Endpoint("198.51.100.8", 4711)
SHOWN = b"s" * 20


class RoamingTestCase(SynchronousTestCase):
    part = Part.SERVER

    def setUp(self) -> None:
        self.outbound, self.effects, self.counts = outbound(1), Effects(), Counts()
        self.connection_ids = ConnectionIds(self.outbound, server=self.part.follows)
        shared = Shared(lambda count: b"t" * count, Lateness(), {})
        self.table = PathTable("laptop", self.outbound, self.connection_ids, shared)
        self.table.raise_ceiling(1440)
        self.roaming = Roaming("laptop", self.part, self.outbound, self.table, shared.entropy)
        self.path: Path = self.outbound.paths[0]

    def come(self, number: int, source: Endpoint = ELSEWHERE, now: float = 1.0) -> list[Endpoint]:
        """An authentic datagram from another address: where to something is sent."""
        header = Header(SHOWN, IP, 0, PLAIN, 0, 64, 0, 0, 0, 0, TO_SERVER, number)
        arrival = Arrival(0, source, memoryview(bytes(1000)), 1000)
        self.effects.sends.clear()
        self.roaming.from_elsewhere(self.path, header, Train(arrival, 0, (1000, 0), 1, 1000), now, self.effects)
        return [each.to for each in self.effects.sends]

    def answer(self, token: bytes = b"t" * TOKEN, source: Endpoint = ELSEWHERE) -> None:
        """A token comes back."""
        arrival = Arrival(0, source, memoryview(b""), 0)
        self.roaming.answered(self.path, Response(token), arrival, 2.0, self.effects)


class ServerTests(RoamingTestCase):
    def test_proved(self) -> None:
        """The new address is challenged; only when it answers the path leads there, and what hung goes again."""
        self.assertEqual(self.come(5), [ELSEWHERE])
        self.assertEqual(self.path.remote, FAR)
        self.answer()
        self.assertEqual((self.path.remote, self.path.shown), (ELSEWHERE, SHOWN))
        self.assertEqual([type(event) for event in self.effects.events], [PathMoved])

    def test_wrong_proof(self) -> None:
        """Another token, or the right one from a third address, proves nothing."""
        self.come(5)
        self.answer(b"x" * TOKEN)
        self.answer(source=THIRD)
        self.assertEqual((self.path.remote, self.effects.events), (FAR, []))

    def test_old_news(self) -> None:
        """What was held back says nothing about where the other end is."""
        self.path.received.seen.add_run(9, 1)
        self.assertEqual(self.come(5), [])

    def test_not_too_often(self) -> None:
        """An address that sends on is not challenged each time."""
        self.assertEqual([len(self.come(number, now=1.0)) for number in range(4)], [1, 0, 0, 0])

    def test_few_addresses(self) -> None:
        """However many addresses send of one path, few are challenged at once; a little later the next ones are."""
        ends = [Endpoint("198.51.100.7", 4711 + step) for step in range(3 * CHALLENGES)]
        for now in (1.0, 1.0 + RECHALLENGE):
            sent = [len(self.come(number, end, now)) for number, end in enumerate(ends)]
            self.assertEqual(sent, [1] * CHALLENGES + [0] * 2 * CHALLENGES)
            ends.reverse()

    def test_own_address(self) -> None:
        """The address of the path itself proves itself too; then traffic may go there."""
        self.path.validation.token, self.path.validation.validated = b"o" * TOKEN, False
        self.path.enter(State.PROBING, 1.0)
        self.answer(b"o" * TOKEN, FAR)
        self.assertEqual((self.path.state, self.path.validation.validated), (State.ACTIVE, True))

    def test_seen(self) -> None:
        """The other end is told the address by which it is seen."""
        self.assertEqual(len(self.roaming.observed(self.path)), 1)


class ClientTests(RoamingTestCase):
    part = Part.CLIENT

    def challenge(self, token: bytes, now: float) -> bytes:
        """The server is not sure where we are: the id shown afterwards."""
        self.roaming.challenged(self.path, Challenge(token), self.counts, now, self.effects)
        return self.path.shown

    def test_server_stays(self) -> None:
        """A client believes in no other address of its server, and has nothing to tell of the one it sees."""
        self.assertEqual((self.come(5), self.roaming.observed(self.path)), ([], []))

    def test_rebound(self) -> None:
        """Who did not move shows another id, once for each challenge; who has just moved does not. All are answered."""
        self.connection_ids.in_hand.extend([b"a" * 20, b"b" * 20])
        shown = [
            self.challenge(token, now) for token, now in ((b"1", SETTLED / 2), (b"1", 9.0), (b"1", 9.1), (b"2", 9.2))
        ]
        self.assertEqual(shown, [bytes(20), b"a" * 20, b"a" * 20, b"b" * 20])
        self.assertEqual((self.counts["rebound"], len(self.effects.sends)), (2, 4))
        self.assertEqual(self.path.unsettled_until, 9.2 + UNSETTLED)


class CallerTests(RoamingTestCase):
    part = Part.CALLER

    def test_left(self) -> None:
        """What still comes by the way that we left does not lead us back to it, for a while."""
        self.path.left, self.path.moved_at = (0, ELSEWHERE), 1.0
        self.assertEqual(self.come(5, now=1.0 + FAREWELL / 2), [])
        self.assertEqual(self.come(6, now=1.0 + 2 * FAREWELL), [ELSEWHERE])
