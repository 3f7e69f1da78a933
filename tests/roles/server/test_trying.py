"""Datagrams to ports of clients: when one is sent, and where to."""

from __future__ import annotations

from typing import cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.server.trying import AT_ONCE, EVERY, Trying
from morphnet.roles.signalling.control_server import Caller
from morphnet.wire.messages.trying import Tried, TryPort, datagram_of
from tests.roles.server.test_node import FakeCaller

ONE, OTHER = "01" * 16, "02" * 16


class TryingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.works = Clock(), True
        self.sent: list[tuple[str, str, int, bytes]] = []
        self.trying = Trying(self.clock.seconds, self.send)

    def send(self, local: str, to: str, port: int, datagram: bytes) -> bool:
        """Keep it."""
        self.sent.append((local, to, port, datagram))
        return self.works

    def ask(self, caller: FakeCaller, token: str = ONE) -> bool:
        """Whether the caller is told that one was sent."""
        self.trying.asked(cast(Caller, caller), TryPort(4000, token))
        said = caller.said.pop()
        assert isinstance(said, Tried)
        self.assertEqual(said.token, token)
        return said.sent

    def test_sent(self) -> None:
        """One, from the address that was called to the one that the link comes from."""
        self.assertTrue(self.ask(FakeCaller()))
        self.assertEqual(self.sent, [("192.0.2.1", "198.51.100.7", 4000, datagram_of(ONE))])
        self.assertEqual(self.trying.counters(), {"ports_tried": 1, "ports_untried": 0})

    def test_too_often(self) -> None:
        """One in EVERY seconds of one name, whatever link it comes by; another client has its own."""
        answers = [self.ask(FakeCaller()), self.ask(FakeCaller()), self.ask(FakeCaller("nas"))]
        self.clock.advance(EVERY - 0.1)
        answers.append(self.ask(FakeCaller(), OTHER))
        self.clock.advance(0.2)
        answers.append(self.ask(FakeCaller(), OTHER))
        self.assertEqual(answers, [True, False, True, False, True])
        self.assertEqual((len(self.sent), self.trying.counters()["ports_untried"]), (3, 2))

    def test_all_together(self) -> None:
        """Many clients have AT_ONCE of them."""
        answers = [self.ask(FakeCaller(f"n{number}")) for number in range(AT_ONCE + 5)]
        self.assertEqual(answers, [True] * AT_ONCE + [False] * 5)

    def test_not_its_own(self) -> None:
        """Nothing goes to an address that is a relay's or web server's word, this machine's, or nobody's."""
        for host, direct in (
            ("198.51.100.7", False),
            ("127.0.0.1", True),
            ("::1", True),
            ("::ffff:127.0.0.1", True),
            ("192.0.2.1", True),  # where it has called
            ("fe80::1%2", True),
            ("224.0.0.1", True),
            ("0.0.0.0", True),
            ("", True),
        ):
            caller = FakeCaller()
            caller.host, caller.direct = host, direct
            self.assertFalse(self.ask(caller), host)
        self.assertEqual(self.sent, [])

    def test_refused(self) -> None:
        """What the kernel does not take was not sent."""
        self.works = False
        self.assertFalse(self.ask(FakeCaller()))
