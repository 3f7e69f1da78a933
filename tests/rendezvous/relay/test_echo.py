"""What a relay answers to who asks by UDP, and whom it tells."""

from __future__ import annotations

from morphnet.rendezvous.relay.echo import MOST_SOCKETS
from morphnet.rendezvous.relay.members import MOST_NEWS
from morphnet.wire.echo import Echoed, make_request, read_answer
from morphnet.wire.messages.relay import Absent, Present
from tests.rendezvous.relay.case import RegistryTestCase


class EchoTests(RegistryTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.watcher, self.laptop = self.come("phone", "laptop"), self.come("laptop")
        self.watcher.told.clear()
        self.echo_id, self.echo_key = self.member(self.laptop).echo_id, self.member(self.laptop).echo_key
        self.turn = 0

    def ask(self, host: str, port: int, socket: int = 0) -> Echoed:
        """From there."""
        self.turn += 1
        request = make_request(self.echo_id, self.echo_key, b"transact", socket, self.turn)
        answer = self.registry.echo.answer(request, host, port)
        assert answer is not None
        return read_answer(answer, self.echo_key)

    def test_answer(self) -> None:
        """Who has registered is told where he comes from, and his watchers with him; once, while it stays so."""
        for _ in range(3):
            self.assertEqual(self.ask("203.0.113.9", 4500), Echoed(b"transact", "203.0.113.9", 4500))
        (told,) = self.watcher.news()
        assert isinstance(told, Present)
        self.assertEqual(told.observed, ("line 203.0.113.9 50000", "observed 203.0.113.9 4500"))
        self.assertEqual(self.registry.counts["echoes"], 3)

    def test_changes(self) -> None:
        """A mapping that changes is told, in place of the old one; other sockets have their own."""
        self.ask("203.0.113.9", 4500)
        self.ask("2001:db8::9", 4500, 1)
        self.ask("203.0.113.9", 4501)
        told = self.watcher.news()
        self.assertEqual(len(told), 3)
        assert isinstance(told[-1], Present)
        self.assertEqual(told[-1].observed[1:], ("observed 203.0.113.9 4501", "observed 2001:db8::9 4500"))

    def test_changes_without_end(self) -> None:
        """A mapping that changes all the time is told some times, then once a second; the last one is what counts."""
        for port in range(1000, 1100):
            self.ask("203.0.113.9", port)
        self.assertEqual(len(self.watcher.news()), MOST_NEWS)
        self.watcher.told.clear()
        self.clock.advance(1.0)
        self.ask("203.0.113.9", 2000)
        self.ask("203.0.113.9", 2001)
        self.assertEqual(len(self.watcher.news()), 1)
        self.assertIn("observed 203.0.113.9 2001", self.member(self.laptop).present().observed)

    def test_sockets_limited(self) -> None:
        """Of one node's sockets so many are remembered; the others are answered all the same."""
        for socket in range(256):
            self.ask("203.0.113.9", 4500 + socket, socket)
        self.assertEqual(len(self.member(self.laptop).mapped), MOST_SOCKETS)
        self.assertEqual(len(self.watcher.news()), MOST_SOCKETS)

    def test_replayed(self) -> None:
        """Whoever repeats a request gets nothing, and nobody is told of him; a late one is answered once."""
        for turns in (range(1, 200), [0] * 199):  # a node of today, and one that counts none
            requests = [
                make_request(self.echo_id, self.echo_key, b"%4d%4d" % (step, not turn), 0, turn)
                for step, turn in enumerate(turns)
            ]
            late = requests.pop(150)
            for request in requests:
                self.assertIsNotNone(self.registry.echo.answer(request, "203.0.113.9", 4500))
            self.watcher.told.clear()
            self.registry.counts.clear()
            for request in requests:
                self.assertIsNone(self.registry.echo.answer(request, "192.0.2.66", 53))
            self.assertEqual((self.watcher.news(), self.registry.counts), ([], {"echo_replays": 198}))
            answers = [self.registry.echo.answer(late, "203.0.113.9", 4500) is not None for _ in range(2)]
            self.assertEqual(answers, [True, False])

    def test_strangers(self) -> None:
        """Strangers, forgers and who has gone get no answer, and are counted; nobody is told of them."""
        good = make_request(self.echo_id, self.echo_key, bytes(8), 0)
        answer = self.registry.echo.answer(good, "203.0.113.9", 1)
        assert answer is not None
        self.watcher.told.clear()
        wrong = [b"", good[:-1], good + b"x", bytes(64), make_request(b"stranger", self.echo_key, bytes(8), 0),
                 make_request(self.echo_id, bytes(32), bytes(8), 0), answer]  # fmt: skip
        wrong += [good[:at] + bytes((good[at] ^ 1,)) + good[at + 1 :] for at in range(64)]
        for datagram in wrong:
            self.assertIsNone(self.registry.echo.answer(datagram, "203.0.113.66", 1))
        self.registry.gone(self.laptop)
        self.assertIsNone(self.registry.echo.answer(good, "203.0.113.9", 1))
        self.assertEqual(self.registry.counts["echo_strangers"], len(wrong) + 1)
        self.assertEqual([type(each) for each in self.watcher.news()], [Absent])
