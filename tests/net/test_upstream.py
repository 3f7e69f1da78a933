"""Asking other servers: who, how often, for how many at a time, and what is kept of it."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol
from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase, TestCase

from morphnet.net import upstream
from morphnet.net.dnsmessage import Answer, Question, address_of, unfit_outside
from morphnet.net.upstream import LONGEST_ABSENCE, MOST_OF_ONE, MOST_WAITING, PATIENCE, Upstream
from morphnet.rendezvous.naming import Ask
from tests.fakes_names import MemoryNet, answering, read

reactor: Any = _reactor
WIKI = Question(b"wiki.example", dns.A)
WORLD, CORP = Ask(("9.9.9.9", "8.8.8.8"), False), Ask(("10.0.0.53",), True)
CALLER = "10.73.0.2"


class UpstreamTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.net = MemoryNet()
        self.upstream = Upstream(self.net, unfit_outside(("10.73.0.0/24",)))

    def ask(self, question: Question = WIKI, ask: Ask = WORLD, caller: str = CALLER) -> Deferred[Answer]:
        return self.upstream.ask(caller, question, ask)

    def hosts(self, answer: Deferred[Answer]) -> tuple[int, list[str]]:
        said = self.successResultOf(answer)
        return said.code, [address_of(record) for record in said.answers]

    def at_once(self, ask: Ask = WORLD, question: Question = WIKI) -> tuple[int, list[str]]:
        answer = self.ask(question, ask)
        self.net.advance(0.02)
        return self.hosts(answer)

    def test_kept(self) -> None:
        """An answer is kept for as long as it says, and grows older; a socket is closed with its question."""
        self.net.servers["9.9.9.9"] = answering("192.0.2.1", ttl=60)
        self.assertEqual(self.at_once(), (dns.OK, ["192.0.2.1"]))
        self.net.advance(50)
        again = self.successResultOf(self.ask(Question(b"WIKI.example", dns.A)))
        self.assertEqual((again.answers[0].ttl, len(self.net.asked)), (10, 1))
        self.net.advance(10)
        self.ask()
        self.assertEqual((len(self.net.asked), len(self.net.open_sockets())), (2, 1))
        self.net.advance(0.02)
        self.assertEqual((self.net.open_sockets(), self.net.getDelayedCalls()), ([], []))

    def test_absence(self) -> None:
        """Also that a name is not there, but not for long; trouble is asked again."""
        self.net.servers["9.9.9.9"] = answering(code=dns.ENAME, ttl=9999, minimum=9999)
        self.assertEqual(self.at_once(), (dns.ENAME, []))
        self.net.advance(LONGEST_ABSENCE - 1)
        self.assertEqual((self.at_once(), len(self.net.asked)), ((dns.ENAME, []), 1))
        self.net.advance(1)
        self.net.servers["9.9.9.9"] = self.net.servers["8.8.8.8"] = answering(code=dns.ESERVER)
        for asked in (3, 5):
            answer = self.ask()
            self.net.advance(0.02)
            self.net.advance(0.02)
            self.assertEqual((self.hosts(answer)[0], len(self.net.asked)), (dns.ESERVER, asked))

    def test_next(self) -> None:
        """Who is silent, refuses or is broken is left for the next one; when all are, that is said after a while."""
        self.net.servers["8.8.8.8"] = answering("192.0.2.1", ttl=0)
        answer = self.ask()
        self.net.advance(PATIENCE)
        self.net.advance(0.02)
        self.assertEqual(self.hosts(answer), (dns.OK, ["192.0.2.1"]))
        answer = self.ask()
        self.net.open_sockets()[0].protocol.connectionRefused()
        self.net.advance(0)
        self.net.advance(0.02)
        self.assertEqual(self.hosts(answer), (dns.OK, ["192.0.2.1"]))
        del self.net.servers["8.8.8.8"]
        answer = self.ask()
        for _ in range(4):
            self.assertNoResult(answer)
            self.net.advance(PATIENCE)
        self.assertEqual((self.hosts(answer)[0], self.net.getDelayedCalls()), (dns.ESERVER, []))

    def test_old(self) -> None:
        """A server that knows no EDNS, and says so or says nothing, is asked without."""
        for code in (dns.EFORMAT, dns.ENOTIMP, None):

            def says(asked: dns.Message, code: int | None = code) -> bytes | None:
                if not asked.additional:
                    return answering("192.0.2.1", ttl=0)(asked)
                return None if code is None else answering(code=code)(asked)

            self.net.servers["9.9.9.9"] = says
            answer = self.ask(ask=Ask(("9.9.9.9",), False))
            self.net.advance(0.02 if code is not None else PATIENCE)
            self.net.advance(0.02)
            self.assertEqual(self.hosts(answer), (dns.OK, ["192.0.2.1"]))
        self.net.servers["9.9.9.9"] = lambda asked: answering(code=dns.EFORMAT, cut=not asked.additional)(asked)
        answer = self.ask(ask=Ask(("9.9.9.9",), False))
        self.net.by_tcp["9.9.9.9"] = answering("192.0.2.1", ttl=0)
        for _ in range(3):
            self.net.advance(0.02)
        self.assertEqual((self.hosts(answer)[0], self.net.asked[-1][1].additional), (dns.OK, []))
        self.net.servers["9.9.9.9"] = answering(code=dns.EFORMAT)
        answer = self.ask(ask=Ask(("9.9.9.9",), False))
        for _ in range(2):
            self.net.advance(0.02)
        self.assertEqual(self.hosts(answer)[0], dns.EFORMAT)

    def test_forged(self) -> None:
        """Numbers and sockets differ from question to question; an answer with another number is not one."""
        numbers = set()
        for turn in range(20):
            self.ask(Question(b"%d.example" % turn, dns.A))
            numbers.add(self.net.asked[-1][1].id)
        self.assertGreater(len(numbers), 15)
        self.assertEqual(len(self.net.open_sockets()), 20)
        answer = self.ask()
        socket, asked = self.net.open_sockets()[-1], self.net.asked[-1][1]
        asked.id ^= 1
        socket.protocol.datagramReceived(answering("203.0.113.6")(asked), ("9.9.9.9", 53))
        self.assertNoResult(answer)
        self.assertEqual(socket.to, ("9.9.9.9", 53))  # connected: the kernel hears nobody else

    def test_added(self) -> None:
        """What a server adds about another name is never given out for that one."""

        def adds(asked: dns.Message) -> bytes:
            reply = read(cast(bytes, answering("192.0.2.1")(asked)))
            reply.additional.append(dns.RRHeader(b"bank.example", dns.A, ttl=99, payload=dns.Record_A("203.0.113.6")))
            return bytes(reply.toStr())

        self.net.servers["9.9.9.9"] = adds
        self.at_once()
        self.ask(Question(b"bank.example", dns.A))
        self.assertEqual(len(self.net.asked), 2)

    def test_together(self) -> None:
        """Who asks what is asked already waits for the same answer."""
        self.net.servers["9.9.9.9"] = answering("192.0.2.1")
        answers = [self.ask(caller=f"10.73.0.{number}") for number in range(2, 7)]
        self.net.advance(0.02)
        self.assertEqual([self.hosts(each) for each in answers], [(dns.OK, ["192.0.2.1"])] * 5)
        self.assertEqual(len(self.net.asked), 1)

    def test_bounds(self) -> None:
        """Nobody has more than a share of what is asked at a time; a share that was answered is free again."""
        many = [self.ask(Question(b"%d.example" % turn, dns.A)) for turn in range(MOST_OF_ONE + 1)]
        self.assertEqual(self.hosts(many[-1])[0], dns.ESERVER)
        self.assertNoResult(many[0])
        for number in range(MOST_WAITING):
            self.ask(Question(b"%d.example" % (MOST_OF_ONE + number), dns.A), caller=f"10.73.1.{number // 32}")
        self.assertEqual(len(self.net.open_sockets()), MOST_WAITING)
        self.net.advance(PATIENCE * 10)
        for _ in range(4):
            self.net.advance(PATIENCE)
        self.assertEqual((self.net.open_sockets(), self.hosts(many[0])[0]), ([], dns.ESERVER))
        self.assertNoResult(self.ask())

    def test_long(self) -> None:
        """What a datagram does not take is asked for by TCP; a server without it is left for the next one."""
        hosts = [f"192.0.2.{number}" for number in range(1, 90)]
        self.net.servers["9.9.9.9"] = self.net.servers["8.8.8.8"] = answering(cut=True)
        self.net.by_tcp["8.8.8.8"] = answering(*hosts)
        answer = self.ask()
        for _ in range(8):
            self.net.advance(0.01)
        self.assertEqual(self.hosts(answer), (dns.OK, hosts))
        self.assertEqual([to for to, _ in self.net.asked], ["9.9.9.9", "8.8.8.8", "tcp 8.8.8.8"])
        self.assertEqual(self.net.getDelayedCalls(), [])

    def test_late(self) -> None:
        """What becomes of a connection to one server, when the next has been asked, says nothing of that one."""
        self.net.servers["9.9.9.9"], self.net.by_tcp["9.9.9.9"] = answering(cut=True), lambda asked: None
        answer = self.ask()
        self.net.advance(0.02)
        self.net.advance(PATIENCE)
        self.assertEqual(self.net.open_sockets()[-1].to, ("8.8.8.8", 53))
        self.net.tcp[-1].protocol.connectionLost()
        self.net.advance(0.1)
        self.net.open_sockets()[-1].protocol.datagramReceived(
            answering("192.0.2.1")(self.net.asked[-1][1]), ("8.8.8.8", 53)
        )
        self.assertEqual((self.hosts(answer), len(self.net.asked)), ((dns.OK, ["192.0.2.1"]), 3))

    def test_endless(self) -> None:
        """A server whose answer by TCP is cut as well is not asked for ever."""
        self.net.servers["9.9.9.9"] = self.net.by_tcp["9.9.9.9"] = answering(cut=True)
        answer = self.ask(ask=Ask(("9.9.9.9",), False))
        for _ in range(20):
            self.net.advance(0.01)
        self.assertEqual((self.hosts(answer)[0], len(self.net.asked)), (dns.ESERVER, 4))

    def test_rebinding(self) -> None:
        """A name of the world leads to no inner address; one of a domain that the operator has named may."""
        self.net.servers["9.9.9.9"] = self.net.servers["10.0.0.53"] = answering("10.73.0.1", "192.0.2.1")
        self.assertEqual(self.at_once(), (dns.OK, ["192.0.2.1"]))
        self.assertEqual(self.upstream.counts["names_rebound"], 1)
        self.assertEqual(self.at_once(CORP), (dns.OK, ["10.73.0.1", "192.0.2.1"]))

    def test_large(self) -> None:
        """What is large is given out and not kept: else a member fills the memory with what it has answered itself."""

        def says(asked: dns.Message) -> bytes:
            reply = read(cast(bytes, answering()(asked)))
            text: Any = dns.Record_TXT(*[b"x" * 255] * lines)
            reply.answers = [cast(Any, dns.RRHeader(b"wiki.example", dns.TXT, ttl=60, payload=text))]
            return bytes(reply.toStr())

        self.net.servers["9.9.9.9"] = says
        for lines, asked in ((15, 1), (16, 2)):
            self.net.asked.clear()
            question = Question(b"wiki.example", dns.TXT, unchecked=lines == 16)
            for _ in range(2):
                self.assertEqual(self.at_once(question=question)[0], dns.OK)
            self.assertEqual(len(self.net.asked), asked)

    def test_nobody(self) -> None:
        """With nobody to ask that is said at once."""
        self.assertEqual(self.hosts(self.ask(ask=Ask((), False)))[0], dns.ESERVER)

    def test_close(self) -> None:
        """Nothing is left."""
        self.ask()
        self.upstream.close()
        self.assertEqual((self.net.open_sockets(), self.net.getDelayedCalls()), ([], []))


class SocketTests(TestCase):
    """By sockets of the kernel."""

    timeout = 20

    async def test_refused(self) -> None:
        """Where nobody listens the next one is asked at once."""
        server = reactor.listenUDP(0, Says(), interface="127.0.0.1")
        self.addCleanup(server.stopListening)
        self.patch(upstream, "PORT", server.getHost().port)
        self.patch(upstream, "PATIENCE", 3600.0)
        asking = Upstream(reactor, unfit_outside(()))
        for servers, code in ((("127.0.0.2", "127.0.0.1"), dns.OK), (("127.0.0.2",), dns.ESERVER)):
            answer = await asking.ask(CALLER, WIKI, Ask(servers, False))
            self.assertEqual(answer.code, code)
        asking.close()


class Says(DatagramProtocol):
    """A server."""

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        assert self.transport is not None
        self.transport.write(cast(bytes, answering("192.0.2.1", ttl=0)(read(datagram))), addr)
