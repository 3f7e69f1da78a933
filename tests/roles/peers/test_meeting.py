"""Two peers with real TLS and real sessions, and two relays between them, of which one does as it likes."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning
from morphnet.net.relay_client import RelayClient
from morphnet.roles.peers.mesh import Mesh
from morphnet.roles.peers.peer import Peer
from morphnet.tunnel.events import Effects, PathChanged, Reached
from morphnet.tunnel.session import Session
from morphnet.wire.batch import Arrival, Endpoint
from morphnet.wire.relaying import CALL, DATAGRAMS, HANDSHAKE, Present, bundle, unbundle
from tests.roles.peers.test_peer import FakeMesh

STEP = 0.02  # seconds
WITHIN = 5.0  # figure D17
INNER = {"anna": "10.73.0.2", "bert": "10.73.0.3"}


class Line:
    """A relay, as one end sees it."""

    address = "203.0.113.1"

    def __init__(self, number: int, post: Callable[[int, int, bytes], bool]) -> None:
        self.number, self.host, self._post = number, f"relay{number}", post

    def post(self, name: str, kind: int, content: bytes) -> bool:
        """See RelayClient."""
        return self._post(self.number, kind, content)


class End(FakeMesh):
    """One of the two."""

    def __init__(self, street: Street, name: str, instance: str) -> None:
        super().__init__(name, "*")
        self.street, self.clock, self.instance, self.tuning = street, street.clock, instance, Tuning()
        self.entropy = random.Random(name + instance).randbytes
        self.pump.now, self.pump.carry_out = self.clock.seconds, self.carry
        self.wall = self.clock.seconds
        self.having = cast(Any, [Line(number, self.post) for number in (7, 8)])
        self.lines = self.having
        self.foreign = lambda addresses: [INNER["bert" if name == "anna" else "anna"]]
        self.doors = SimpleNamespace(families={})
        self.peer = self.peers["other"] = Peer(cast(Mesh, self), "bert" if name == "anna" else "anna")

    def post(self, number: int, kind: int, content: bytes) -> bool:
        """Give a relay something."""
        self.street.hand(self, number, kind, content)
        return True

    def told_by(self, number: int, instance: str, turn: int) -> None:
        """What a relay says of the peer."""
        line = cast(RelayClient, next(each for each in self.having if each.number == number))
        self.peer.present(line, Present(turn, self.peer.name, instance))

    def carry(self, effects: Effects) -> None:
        """What the data plane wants done."""
        for each in effects.sends:
            if each.door in (7, 8):
                self.post(each.door, DATAGRAMS, bundle(each.data, each.size))
        for event in effects.events:
            match event:
                case PathChanged():
                    self.peer.path_changed(event)
                case Reached():
                    self.peer.reached(event)

    def carry_out(self, session: Session, effects: Effects) -> None:
        """See Mesh."""
        self.tunnel.poke(session, self.clock.seconds())
        self.carry(effects)

    def hear(self, number: int, kind: int, content: bytes) -> None:
        """A relay hands on something."""
        line = cast(RelayClient, next(each for each in self.having if each.number == number))
        if kind == HANDSHAKE:
            self.peer.handshake.received(line, content)
        elif kind == CALL:
            self.peer.handshake.called(line)
        else:
            data, size = unbundle(memoryview(content))
            arrival = Arrival(number, Endpoint(self.peer.name, 0), data, size)
            self.carry(self.tunnel.from_path([arrival], self.clock.seconds()))


class Street:
    """What is between them; `passes` says what the first relay hands on: from whom, of which kind."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.passes: Callable[[str, int], bool] = lambda sender, kind: True
        self.under_way: list[tuple[End, int, int, bytes]] = []
        self.ends: dict[str, End] = {}

    def hand(self, sender: End, number: int, kind: int, content: bytes) -> None:
        """To the other one, in a moment."""
        if self.ends.get(sender.name) is sender and (number == 8 or self.passes(sender.name, kind)):
            self.under_way.append((sender, number, kind, content))

    def run(self, seconds: float) -> None:
        """Let time go by."""
        for _ in range(round(seconds / STEP)):
            self.clock.advance(STEP)
            for end in list(self.ends.values()):
                end.carry(end.tunnel.on_timer(self.clock.seconds()))
            under_way, self.under_way = self.under_way, []
            for sender, number, kind, content in under_way:
                self.ends["bert" if sender.name == "anna" else "anna"].hear(number, kind, content)


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
        for number in (7, 8):
            self.anna.told_by(number, self.bert.instance, self.turn)
            self.bert.told_by(number, self.anna.instance, self.turn)

    def works(self) -> bool:
        """Whether they have one session, by which either has heard the other within the last moments."""
        sessions = [end.peer.session for end in (self.anna, self.bert)]
        if None in sessions or len({each.name for each in sessions if each is not None}) != 1:
            return False
        return all(each.outbound.candidates() for each in sessions if each is not None)

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
                self.anna.told_by(7, f"{turn:016x}", turn)
                self.bert.told_by(7, f"{turn:016x}", turn)
                self.anna.hear(7, CALL, b"!")
                self.bert.hear(7, CALL, b"!")
                self.street.run(0.5)
            self.street.run(3.0)
            self.assertEqual(self.sessions(), self.before)
            self.assertTrue(self.works())

    def test_comes_and_goes(self) -> None:
        """A relay that shows the peer gone and back changes nothing either."""
        for turn in range(200, 220):
            for end in (self.anna, self.bert):
                end.peer.absent(cast(RelayClient, end.having[0]))
                end.told_by(7, end.peer._instance, turn)
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
        self.assertEqual(self.anna.peer._instance, "3" * 16)

    def test_caller_starts_anew(self) -> None:
        """The one who calls is another process: it is met in time."""
        self.anna = self.start("anna", "4" * 16)
        self.meet()
        self.assertEqual(self.bert.peer._instance, "4" * 16)

    def test_session_is_lost(self) -> None:
        """One of them has lost the session, and is the same process: there is another one in time."""
        for end in (self.anna, self.bert):
            end.peer.forget("for this test")
            end.peer.story.appeared()
            self.street.run(WITHIN + 1.0)
            self.assertTrue(self.works(), end.name)
