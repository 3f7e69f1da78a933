"""Sessions with peers, and who hears of them."""

from __future__ import annotations

from morphnet.tunnel.events import Effects, Event, Forgotten
from morphnet.tunnel.part import Part
from morphnet.wire.batch import Endpoint
from morphnet.wire.probes import EXPORT_LENGTH, split_probe_export
from tests.roles.peers.fakes import INNER, STARTED_AT, PlaneTestCase


class SessionsTests(PlaneTestCase):
    def test_begin(self) -> None:
        """A session with an equal, heard of just now, in place of the one before."""
        self.clock.advance(5.0)
        first, second = self.begin(), self.begin()
        self.assertIsNot(first, second)
        self.assertIs(self.tunnel.sessions["bert"], second)
        self.assertEqual((second.part, second.heard_at), (Part.CALLER, STARTED_AT + 5.0))

    def test_scheduler(self) -> None:
        """One that was chosen while the process runs holds for sessions that begin later."""
        before = self.begin()
        self.sessions.begin_with("redundant")
        used = [each.outbound.scheduler.name for each in (before, self.begin())]
        self.assertEqual(used, ["bond", "redundant"])

    def test_met(self) -> None:
        """Who keeps the peers' names hears of each that comes and goes, with the addresses inside."""
        self.begin("bert")
        self.begin("carl")
        self.sessions.end("bert")
        self.sessions.end("bert")  # nothing new
        bert, carl = {"bert": (INNER["bert"],)}, {"carl": (INNER["carl"],)}
        self.assertEqual(self.met, [bert, bert | carl, carl])
        self.assertEqual(set(self.tunnel.sessions), {"carl"})

    def test_follow(self) -> None:
        """What happens to a session is told to its peer, until it leaves."""
        heard: list[Event] = []
        self.sessions.follow("bert", heard.append)
        self.pump.carry_out(Effects(events=[Forgotten("bert"), Forgotten("carl")]))
        self.sessions.leave("bert")
        self.pump.carry_out(Effects(events=[Forgotten("bert")]))
        self.assertEqual(heard, [Forgotten("bert")])

    def test_carry_out(self) -> None:
        """What a change asks for leaves by its door, and the timer is set anew."""
        session, effects = self.begin(), Effects()
        session.open_path(self.wifi.number, Endpoint("198.51.100.6", 9), "wifi", STARTED_AT, effects)
        self.assertEqual(self.wifi.sent, [])
        self.sessions.carry_out(session, effects)
        self.assertTrue(self.wifi.sent)
        self.assertTrue(self.clock.getDelayedCalls())

    def test_checks(self) -> None:
        """What checks addresses gets the datagrams that start with its id, as long as there is a session."""
        keys = split_probe_export(bytes(EXPORT_LENGTH), caller=True)
        checker = self.sessions.begin_checks("bert", keys)
        self.assertIs(self.tunnel.extensions[keys.id], checker)
        self.sessions.end_checks(checker)
        self.assertNotIn(keys.id, self.tunnel.extensions)

    def test_uplink(self) -> None:
        """The uplink of a door is known as long as the door is there."""
        self.assertEqual(self.sessions.uplink_of(self.lte.number), "lte")
        self.pump.detach(self.lte.number)
        self.assertEqual(self.sessions.uplink_of(self.lte.number), "")
