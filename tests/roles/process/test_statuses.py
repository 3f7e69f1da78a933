"""Sessions and paths as they are shown."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning
from morphnet.net.pump import Pump
from morphnet.roles.process.statuses import STEP, Statuses, shown_address
from morphnet.tunnel.events import Effects
from morphnet.tunnel.path import Path
from morphnet.tunnel.session import Session
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Endpoint

GATEWAY = Endpoint("203.0.113.1", 8000)


class FakeRole:
    """Knows of each session and path the same."""

    def control_of(self, session: Session) -> tuple[str, str]:
        """Every session has a control link that is up."""
        return "up", "X25519MLKEM768"

    def inner_of(self, session: Session) -> tuple[str, ...]:
        """Every session has this one address."""
        return ("10.73.0.2",)

    def local_of(self, path: Path) -> str:
        """Every path leaves from here."""
        return "192.0.2.2:8000"


class StatusTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.ahead = Clock(), 1e9
        self.clock.advance(100.0)
        self.pump = Pump(self.clock, Tunnel(server=False, entropy=bytes), self.clock.seconds)
        self.since = dict[str, float]()
        self.statuses = Statuses(self.pump, lambda: self.clock.seconds() + self.ahead, self.since, FakeRole())

    def begin(self) -> Session:
        """A session with keys and one path."""
        session = self.pump.tunnel.add_session("gateway", b"n" * 16, Tuning())
        session.install(bytes(32), bytes(32), 64, self.clock.seconds())
        self.since["gateway"] = self.clock.seconds()
        session.open_path(0, GATEWAY, "wan", self.clock.seconds(), Effects())
        return session

    def test_session(self) -> None:
        """What the data plane has, and what the role alone knows."""
        self.clock.advance(5.0)
        session = self.begin()
        (shown,) = self.statuses.sessions()
        self.assertEqual((shown.name, shown.session, shown.since), ("gateway", session.name.hex(), 105.0 + 1e9))
        self.assertEqual((shown.control, shown.group, shown.inner), ("up", "X25519MLKEM768", ("10.73.0.2",)))
        (path,) = shown.paths
        self.assertEqual((path.uplink, path.remote, path.local), ("wan", "203.0.113.1:8000", "192.0.2.2:8000"))
        self.assertEqual((path.state, path.rtt), ("probing", None))

    def test_fresh(self) -> None:
        """A value is that of the moment in which it is asked for; a path that is closed is not shown."""
        session = self.begin()
        session.paths[0].rtt.add(0.02, now=self.clock.seconds())
        self.assertEqual(self.statuses.sessions()[0].paths[0].rtt, 0.02)
        session.close_path(0, self.clock.seconds(), Effects())
        self.assertEqual(self.statuses.sessions()[0].paths, ())

    def test_dated(self) -> None:
        """A moment has one date, though the clocks drift; a wall clock that is set dates it anew."""
        self.assertEqual(self.statuses.started_at, 100.0 + 1e9)
        self.ahead += STEP / 2
        self.assertEqual(self.statuses.started_at, 100.0 + 1e9)
        self.ahead += 3600.0
        self.assertEqual(self.statuses.started_at, 100.0 + self.ahead)


class AddressTests(SynchronousTestCase):
    def test_shown(self) -> None:
        """As a person writes it: IPv6 in brackets, and a peer behind a relay by its name alone."""
        shown = [shown_address(Endpoint(*each)) for each in (("198.51.100.2", 9), ("2001:db8::1", 9), ("bert", 0))]
        self.assertEqual(shown, ["198.51.100.2:9", "[2001:db8::1]:9", "bert"])
