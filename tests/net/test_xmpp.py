"""An upload service as a component, on a stream whose other end is written down."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.protocols.jabber import xmlstream
from twisted.words.xish.domish import Element, elementStream

from morphnet.net.xmpp import UploadComponent
from morphnet.wire.messages.upload.requests import SlotGiven, SlotNotGiven, SlotRequest

OPEN = (
    "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams'"
    " xmlns='jabber:component:accept' from='up.x' id='3BF96D32'>"
)
ASK = "<iq type='get' id='1' from='a@x/phone' to='up.x'>{}</iq>"
REQUEST = "<request xmlns='urn:xmpp:http:upload:0' filename='a&amp;b.png' size='{}' content-type='image/png'/>"


class _Transport(StringTransport):
    alive, aborted = False, False

    def __init__(self) -> None:
        super().__init__()
        self.options = list[tuple[int, int, int]]()

    def getHandle(self) -> _Transport:
        return self

    def setsockopt(self, level: int, option: int, value: int) -> None:
        """As of a socket."""
        self.options.append((level, option, value))

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.alive = enabled

    def abortConnection(self) -> None:
        self.aborted = True


class ComponentTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.told, self.asked, self.refusal = list[str](), list[SlotRequest](), None
        self.component = UploadComponent("up.x", "secret", 1000, self.give, self.told.append)
        self.clock, self.transport = Clock(), _Transport()
        self.component.service(self.clock, "127.0.0.1", 5347)
        self.stream: Any = self.component._factory.buildProtocol(None)
        self.stream.makeConnection(self.transport)
        self.stream.dataReceived(OPEN.encode())

    refusal: Exception | None

    async def give(self, request: SlotRequest) -> SlotGiven:
        """As the slots of a test."""
        self.asked.append(request)
        if self.refusal is not None:
            raise self.refusal
        return SlotGiven("https://x/put", "https://x/get", {"Authorization": "Bearer t"})

    def said(self) -> list[Element]:
        """What it has sent since the last look, without the head of the stream."""
        found, parser = list[Element](), elementStream()
        parser.DocumentStartEvent = parser.DocumentEndEvent = lambda *_: None
        parser.ElementEvent = found.append
        text = self.transport.value()
        parser.parse(text if text.startswith(b"<?xml") or b"<stream:stream" in text else OPEN.encode() + text)
        self.transport.clear()
        return found

    def answer(self, content: str) -> Element:
        """To one question."""
        if not self.told:
            self.stream.dataReceived(b"<handshake/>")
        self.transport.clear()
        self.stream.dataReceived(ASK.format(content).encode())
        (answer,) = self.said()
        self.assertEqual((answer["id"], answer["to"], answer["from"]), ("1", "a@x/phone", "up.x"))
        return answer

    def test_handshake(self) -> None:
        """As XEP-0114 has it: SHA-1 of the stream's id and the secret; it is told when we are in, and when not."""
        (handshake,) = self.said()
        self.assertEqual(str(handshake), xmlstream.hashPassword("3BF96D32", "secret"))
        self.stream.dataReceived(b"<handshake/>")
        self.assertEqual(self.told, [""])
        self.stream.connectionLost(None)
        self.assertEqual(self.told, ["", "the connection was lost"])

    def test_silent(self) -> None:
        """Who does not let us in within 15 s is hung up on; who has is looked after by TCP; no timer stays."""
        self.stream.dataReceived(b"<handshake/>")
        self.assertEqual((self.transport.alive, self.clock.getDelayedCalls()), (True, []))
        self.assertIn((socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60), self.transport.options)
        for ends in (True, False):
            stream: Any = self.component._factory.buildProtocol(None)
            transport = _Transport()
            stream.makeConnection(transport)
            if ends:
                stream.connectionLost(None)
            self.clock.advance(15.0)
            self.assertEqual((transport.aborted, self.clock.getDelayedCalls()), (not ends, []))
        self.assertEqual(self.told[-1], "it does not answer")

    def test_another_secret(self) -> None:
        """The next connection is made with it."""
        self.component.use("another")
        self.transport.clear()
        self.stream = self.component._factory.buildProtocol(None)
        self.stream.makeConnection(self.transport)
        self.stream.dataReceived(OPEN.encode())
        (handshake,) = self.said()
        self.assertEqual(str(handshake), xmlstream.hashPassword("3BF96D32", "another"))

    def test_refused_by_server(self) -> None:
        """A wrong secret is a sentence."""
        self.stream.dataReceived(
            b"<stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
        )
        self.assertEqual(self.told, ["it refuses the component: not-authorized"])

    def test_info(self) -> None:
        """It is an upload service, with its largest file and the purposes."""
        xml = self.answer("<query xmlns='http://jabber.org/protocol/disco#info'/>").toXml()
        for part in ("category='store'", "urn:xmpp:http:upload:0", "<value>1000</value>", "purpose:0#profile"):
            self.assertIn(part, xml)

    def test_slot(self) -> None:
        """Asked for as it was, for the bare address; given with the one header."""
        xml = self.answer(REQUEST.format(9)).toXml()
        self.assertEqual(self.asked, [SlotRequest("a@x", "a&b.png", 9, "image/png", "message")])
        self.assertIn("<put url='https://x/put'><header name='Authorization'>Bearer t</header></put>", xml)
        self.assertIn("<get url='https://x/get'/>", xml)
        purpose = "<profile xmlns='urn:xmpp:http:upload:purpose:0'/></request>"
        self.answer(REQUEST.format(9).replace("/>", ">") + purpose)
        self.assertEqual(self.asked[-1].purpose, "profile")

    def test_refusals(self) -> None:
        """Each has a type, a condition and a sentence; with the largest size, or when to come again."""
        self.refusal = SlotNotGiven("not-acceptable", "modify", "too large", max_size=7)
        xml = self.answer(REQUEST.format(9)).toXml()
        for part in ("type='modify'", "<not-acceptable", ">too large</text>", "<max-file-size>7</max-file-size>"):
            self.assertIn(part, xml)
        self.refusal = SlotNotGiven("resource-constraint", "wait", "later", again_at=1_700_000_000)
        self.assertIn(
            "<retry xmlns='urn:xmpp:http:upload:0' stamp='2023-11-14T22:13:21Z'/>",
            self.answer(REQUEST.format(9)).toXml(),
        )
        self.assertIn("<bad-request", self.answer(REQUEST.format(0)).toXml())
        self.refusal = RuntimeError("a fault")
        self.assertIn("<internal-server-error", self.answer(REQUEST.format(9)).toXml())
        self.flushLoggedErrors(RuntimeError)

    def test_others(self) -> None:
        """A ping and an empty list of items are answered, all else is refused."""
        self.assertEqual(self.answer("<ping xmlns='urn:xmpp:ping'/>")["type"], "result")
        self.assertEqual(self.answer("<query xmlns='http://jabber.org/protocol/disco#items'/>")["type"], "result")
        for other in ("<x xmlns='y'/>", ""):
            self.assertIn("<service-unavailable", self.answer(other).toXml())
