"""Two peers with real TLS and real sessions, and two relays between them, of which one does as it likes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.pump import Pump
from morphnet.roles.peers.peer import Peer
from morphnet.roles.peers.port_guess import PortGuess
from morphnet.roles.peers.search import DirectSearch
from morphnet.roles.peers.sessions import Sessions
from morphnet.traversal.courtesy import Courtesy
from morphnet.tunnel.carrier import RELAYED, Carrier
from morphnet.tunnel.session import Session
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Arrival, Departure, Endpoint
from morphnet.wire.messages.relay import CALL, DATAGRAMS, HANDSHAKE, Present, bundle, unbundle
from tests.roles.peers.fakes import FakePorts, FakeRelays, FakeStreams, surroundings

STEP = 0.02  # seconds
WITHIN = 5.0  # figure D17
FIRST, SECOND = 0, 1  # of the two relays


class Line:
    """A relay, as one end sees it: a door, too."""

    address = "203.0.113.1"

    def __init__(self, turn: int, number: int, post: Callable[[int, int, bytes], None]) -> None:
        self.turn, self.number, self.host, self._post = turn, number, f"relay{turn}", post

    def post(self, name: str, kind: int, content: bytes) -> bool:
        """Give the relay one envelope; there is always room."""
        self._post(self.turn, kind, content)
        return True

    def counters(self) -> dict[str, int]:
        """Nothing is counted."""
        return {}

    def send(self, departures: Sequence[Departure]) -> None:
        """Give the relay each departure as an envelope of datagrams."""
        for each in departures:
            self._post(self.turn, DATAGRAMS, bundle(each.data, each.size))


class End:
    """One of the two."""

    def __init__(self, street: Street, name: str, instance: str) -> None:
        self.name, self.instance, self._street = name, instance, street
        around = surroundings(name, street.clock, instance=instance)
        self.pump = Pump(street.clock, Tunnel(server=False, entropy=around.entropy), street.clock.seconds)
        self.lines = [Line(turn, self.pump.new_number(), self._post) for turn in (FIRST, SECOND)]
        for line in self.lines:
            self.pump.attach(line, Carrier(RELAYED + line.turn, line.host))
        other, ports, courtesy = "bert" if name == "anna" else "anna", FakePorts({}), Courtesy()
        sessions = Sessions(self.pump, around.entropy, courtesy, lambda names: None)
        guess = PortGuess(around, other, ports, courtesy, sessions.wake)
        search = DirectSearch(around, other, sessions, ports, guess)
        self.peer = Peer(around, other, sessions, FakeRelays(self.lines), search, FakeStreams())

    def _post(self, turn: int, kind: int, content: bytes) -> None:
        """Give a relay something."""
        self._street.hand(self, turn, kind, content)

    def told_by(self, turn: int, instance: str, number: int) -> None:
        """What a relay says of the peer."""
        self.peer.present(self.lines[turn], Present(number, self.peer.name, instance))

    def hear(self, turn: int, kind: int, content: bytes) -> None:
        """A relay hands on something."""
        line = self.lines[turn]
        if kind == HANDSHAKE:
            self.peer.handshake(line, content)
        elif kind == CALL:
            self.peer.called(line)
        else:
            data, size = unbundle(memoryview(content))
            self.pump.from_door([Arrival(line.number, Endpoint(self.peer.name, 0), data, size)])


class Street:
    """What is between them; `passes` says what the first relay hands on: from whom, of which kind."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.passes: Callable[[str, int], bool] = lambda sender, kind: True
        self.under_way: list[tuple[End, int, int, bytes]] = []
        self.ends: dict[str, End] = {}

    def hand(self, sender: End, turn: int, kind: int, content: bytes) -> None:
        """To the other one, in a moment."""
        if self.ends.get(sender.name) is sender and (turn == SECOND or self.passes(sender.name, kind)):
            self.under_way.append((sender, turn, kind, content))

    def run(self, seconds: float) -> None:
        """Let time go by."""
        for _ in range(round(seconds / STEP)):
            self.clock.advance(STEP)
            under_way, self.under_way = self.under_way, []
            for sender, turn, kind, content in under_way:
                self.ends["bert" if sender.name == "anna" else "anna"].hear(turn, kind, content)


class MeetingTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.street = Street()
        self.turn = 0
        self.anna, self.bert = self.start("anna", "1" * 16), self.start("bert", "2" * 16)

    def start(self, name: str, instance: str) -> End:
        """A process."""
        end = self.street.ends[name] = End(self.street, name, instance)
        return end

    def introduce(self) -> None:
        """Both relays tell both of the other one."""
        self.turn += 1
        for relay in (FIRST, SECOND):
            self.anna.told_by(relay, self.bert.instance, self.turn)
            self.bert.told_by(relay, self.anna.instance, self.turn)

    def works(self) -> bool:
        """Whether they have one session, by which either has heard the other within the last moments."""
        sessions = [end.peer.session for end in (self.anna, self.bert)]
        if None in sessions or len({each.name for each in sessions if each is not None}) != 1:
            return False
        return all(each.outbound.usable_paths() for each in sessions if each is not None)

    def meet(self) -> None:
        """They do, in time."""
        self.introduce()
        self.street.run(WITHIN)
        self.assertTrue(self.works(), (self.anna.peer.decisions, self.bert.peer.decisions))

    def sessions(self) -> list[Session | None]:
        """Of both."""
        return [self.anna.peer.session, self.bert.peer.session]


class SilenceTests(MeetingTestCase):
    """The first relay, the nearest, hands on less than it is given."""

    def test_honest(self) -> None:
        """All of it: they meet."""
        self.meet()

    def test_nothing(self) -> None:
        """Nothing: they meet by the other one."""
        self.street.passes = lambda sender, kind: False
        self.meet()

    def test_one_way(self) -> None:
        """What one of them says, and not the other's answer, at whichever step of the handshake it ends."""
        for said in range(1, 6):
            for silenced in ("anna", "bert"):
                self.setUp()
                left = [said]

                def passes(sender: str, kind: int, silenced: str = silenced, left: list[int] = left) -> bool:
                    left[0] -= sender == silenced
                    return sender != silenced or left[0] > 0

                self.street.passes = passes
                self.meet()

    def test_no_datagrams(self) -> None:
        """Handshakes and no datagrams: the session is made, and goes by the other one."""
        self.street.passes = lambda sender, kind: kind != DATAGRAMS
        self.meet()


class LiesTests(MeetingTestCase):
    """They have met, and the first relay tells what is not so."""

    def setUp(self) -> None:
        super().setUp()
        self.meet()
        self.before = self.sessions()

    def test_another_process(self) -> None:
        """Neither is met anew because of it, whoever is told, and whether the relay hands on the handshake or not."""
        for passes in (True, False):
            self.street.passes = lambda sender, kind, passes=passes: passes  # type: ignore[misc]
            for turn in range(100, 110):
                self.anna.told_by(FIRST, f"{turn:016x}", turn)
                self.bert.told_by(FIRST, f"{turn:016x}", turn)
                self.anna.hear(FIRST, CALL, b"!")
                self.bert.hear(FIRST, CALL, b"!")
                self.street.run(0.5)
            self.street.run(3.0)
            self.assertEqual(self.sessions(), self.before)
            self.assertTrue(self.works())

    def test_comes_and_goes(self) -> None:
        """A relay that shows the peer gone and back changes nothing either."""
        for turn in range(200, 220):
            for end in (self.anna, self.bert):
                end.peer.absent(end.lines[FIRST])
                end.told_by(FIRST, end.peer.instance, turn)
            self.street.run(0.3)
        self.assertEqual((self.sessions(), self.works()), (self.before, True))


class TruthTests(MeetingTestCase):
    """What relays tell is so."""

    def setUp(self) -> None:
        super().setUp()
        self.meet()

    def test_called_one_starts_anew(self) -> None:
        """The one who is called is another process: it is met in time."""
        self.bert = self.start("bert", "3" * 16)
        self.meet()
        self.assertEqual(self.anna.peer.instance, "3" * 16)

    def test_caller_starts_anew(self) -> None:
        """The one who calls is another process: it is met in time."""
        self.anna = self.start("anna", "4" * 16)
        self.meet()
        self.assertEqual(self.bert.peer.instance, "4" * 16)

    def test_session_is_lost(self) -> None:
        """One of them has lost the session, and is the same process: there is another one in time."""
        for end in (self.anna, self.bert):
            end.peer.forget("for this test")
            end.told_by(FIRST, end.peer.instance, 1000)
            self.street.run(WITHIN + 1.0)
            self.assertTrue(self.works(), end.name)
