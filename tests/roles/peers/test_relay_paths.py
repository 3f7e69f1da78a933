"""Paths through relays."""

from __future__ import annotations

from morphnet.roles.peers.relay_paths import MOST_RELAY_PATHS, RelayPaths
from morphnet.tunnel.carrier import RELAYED, Carrier
from morphnet.tunnel.path import State
from morphnet.wire.batch import Endpoint
from tests.roles.peers.fakes import FakeRelays, PlaneTestCase


class RelayPathsTestCase(PlaneTestCase):
    """A session, and two relays where both ends are."""

    other = "bert"

    def setUp(self) -> None:
        super().setUp()
        self.relays = FakeRelays()
        for line in self.relays.lines:
            line.number = self.attach(Carrier(RELAYED, line.host)).number
        self.session = self.begin(self.other)
        self.paths = RelayPaths(self.around, self.other, self.sessions, self.relays)

    def doors(self) -> list[int]:
        """Those that paths use."""
        return [path.door for path in self.session.paths.values()]


class CallerTests(RelayPathsTestCase):
    """anna calls bert."""

    def test_nearest(self) -> None:
        """One path through each of the nearest relays where both are, and no more."""
        self.relays.there = [*self.relays.lines, *FakeRelays().lines]
        self.paths.keep(self.session)
        self.paths.keep(self.session)
        self.assertEqual(self.doors(), [line.number for line in self.relays.lines][:MOST_RELAY_PATHS])
        (first, *_) = self.session.paths.values()
        self.assertEqual((first.remote, first.rank, first.uplink), (Endpoint("bert", 0), RELAYED, "relay relay7"))

    def test_silent_is_tried_again(self) -> None:
        """One that is silent is tried at once when the peer is at that relay again."""
        self.paths.keep(self.session)
        path = next(iter(self.session.paths.values()))
        path.enter(State.SILENT, 0.0)
        path.life.probe_at = 100.0
        self.clock.advance(3.0)
        self.paths.keep(self.session)
        self.assertLess(path.life.probe_at, 100.0)

    def test_lost(self) -> None:
        """A relay that is gone silences its path and leaves the other alone."""
        self.paths.keep(self.session)
        for path in self.session.paths.values():
            path.enter(State.ACTIVE, 0.0)
        self.paths.lost(self.session, self.relays.lines[0])
        self.assertEqual([path.state for path in self.session.paths.values()], [State.SILENT, State.ACTIVE])


class CalledTests(RelayPathsTestCase):
    """bert is called by anna: it is she who opens paths."""

    name, other = "bert", "anna"

    def test_opens_none(self) -> None:
        """The one who is called opens none, and has none to lose."""
        self.paths.keep(self.session)
        self.paths.lost(self.session, self.relays.lines[0])
        self.assertEqual(self.doors(), [])
