"""Web pages of machines at home, without the machines; real ones are in the lab."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost, ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers

from morphnet.rendezvous.home.streams import WINDOW
from morphnet.roles.home.services import web
from morphnet.roles.home.services.web import MOST, WITHIN, Web
from morphnet.wire.messages.home.frames import Kind
from tests.rendezvous.home.browser import Browser, Opened

PAGES = {"router": "http://192.168.1.1/", "heating": "https://nas.lan:8443/panel/"}


class Response:
    """In the place of an answer of a machine's."""

    def __init__(self, code: int, **headers: str) -> None:
        self.code = code
        self.headers = Headers()
        for name, value in headers.items():
            self.headers.addRawHeader(name.replace("_", "-"), value)
        self.socket = StringTransport()

    def deliverBody(self, protocol: Any) -> None:
        self.body = protocol
        protocol.makeConnection(self.socket)

    def end(self, how: type[Exception] = ResponseDone) -> None:
        self.body.connectionLost(Failure(how()))


class Agent:
    """In the place of what asks."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes | None]] = []
        self.asking: list[Deferred[Any]] = []
        self.cancelled = 0

    def request(self, method: bytes, url: bytes, headers: Headers, body: Any) -> Deferred[Any]:
        sent = None
        if body is not None:
            taken = StringTransport()
            body.startProducing(taken)
            sent = taken.value()
        said = {name.decode(): values[0].decode() for name, values in headers.getAllRawHeaders()}
        self.asked.append((method.decode(), url.decode(), said, sent))

        def cancel(done: Deferred[Any]) -> None:
            self.cancelled += 1

        self.asking.append(Deferred(cancel))
        return self.asking[-1]


class WebTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.agent, self.clock = Agent(), Clock()
        agent: Any = self.agent
        self.web = Web(PAGES, agent, self.clock)
        self.told: list[str] = []
        self.browser = Browser(self.clock, lambda stream, asked: self.told.append(self.web.opened(stream, asked)))

    def ask(self, sent: bytes = b"", **asked: object) -> Opened:
        opened = self.browser.open(**({"name": "router", "path": "/"} | asked))
        if opened.over is None:
            self.browser.write(sent)
            self.browser.item(self.browser.last, Kind.END)
        return opened

    def test_get(self) -> None:
        """An answer: its status, its kind, and its bytes; in the log without what may be a secret."""
        opened = self.ask(path="/a/b?key=secret")
        response = Response(200, content_type="text/html")
        self.agent.asking[0].callback(response)
        response.body.dataReceived(b"<p>")
        response.end()
        told = {"status": 200, "type": "text/html", "cookies": [], "asks": ""}
        self.assertEqual((opened.said, opened.data, opened.over), ([told], b"<p>", ""))
        self.assertEqual(self.agent.asked[0][:2], ("GET", "http://192.168.1.1/a/b?key=secret"))
        self.assertEqual((self.told, len(self.web)), (["web router: GET /a/b"], 0))

    def test_post(self) -> None:
        """What is sent comes whole, with the few headers that a page may say."""
        self.ask(b"a=1", method="POST", type="application/x-www-form-urlencoded", cookie="s=1", host="evil")
        method, url, headers, sent = self.agent.asked[0]
        self.assertEqual((method, url, sent), ("POST", "http://192.168.1.1/", b"a=1"))
        self.assertEqual(headers.pop("Content-Type"), "application/x-www-form-urlencoded")
        self.assertEqual((headers.pop("Cookie"), sorted(headers)), ("s=1", ["Accept", "User-Agent"]))
        self.assertEqual(self.ask(bytes(WINDOW), method="POST").over, None)
        self.browser.open(name="router", path="/", method="POST")
        self.assertEqual(self.ask(type="a\r\nHost: evil").over, "type is no text")

    def test_only_what_is_allowed(self) -> None:
        """No path, name or method leads to another machine or port, or to another kind of request."""
        for path in ("//evil/", "/@evil/", "/..//evil"):
            self.ask(path=path)
        self.assertEqual({url[:19] for _, url, _, _ in self.agent.asked}, {"http://192.168.1.1/"})
        asked = len(self.agent.asked)
        wrongs: list[dict[str, Any]] = [
            *({"path": path} for path in ("", "x", "@evil/", ":81/", "http://evil/", "/ x", "/\r\nx: y", "/ü", None)),
            *({"name": name} for name in ("", "evil", None, "http://evil")),
            *({"method": method} for method in ("CONNECT", "PUT", "get", None, ["GET"])),
        ]
        for wrong in wrongs:
            self.assertNotIn(self.ask(**wrong).over, (None, ""), wrong)
        self.assertEqual(len(self.agent.asked), asked)

    def test_sent_on(self) -> None:
        """Where an answer leads is told, whole; nothing is followed here."""
        opened = self.ask(name="heating", path="/panel/x")
        self.agent.asking[0].callback(Response(302, location="../login", set_cookie="s=1; Path=/"))
        self.assertEqual(opened.said[0]["location"], "https://nas.lan:8443/login")
        self.assertEqual((opened.said[0]["cookies"], len(self.agent.asked)), (["s=1; Path=/"], 1))

    def test_leads_nowhere(self) -> None:
        """An answer that leads to no place at all is shown as it is."""
        opened, response = self.ask(), Response(302, location="http://[")
        self.agent.asking[0].callback(response)
        response.end()
        self.assertEqual((opened.said[0]["status"], opened.over, len(self.web)), (302, "", 0))
        self.assertNotIn("location", opened.said[0])

    def test_says_much(self) -> None:
        """Whatever a machine says of itself fits into an item, or is left out: the session goes on."""
        much = "\xff" * 16000
        opened, response = self.ask(), Response(200, content_type=much, www_authenticate=much, location=much)
        for number in range(99):
            response.headers.addRawHeader("set-cookie", f"s{number}=" + much[:200])
        self.agent.asking[0].callback(response)  # a frame that is too long is none for the browser's end
        response.end()
        self.assertEqual((len(opened.said), opened.over, len(self.web)), (1, "", 0))
        cookies = opened.said[0]["cookies"]
        self.assertTrue(0 < len(cookies) < 50 and all(len(each) > 200 for each in cookies), "whole ones alone")

    def test_cannot_be_told(self) -> None:
        """An answer of which nothing can be told ends, and makes room for others."""

        def fails(response: object, url: str) -> None:
            raise ValueError

        self.patch(web, "_told", fails)
        opened, response = self.ask(), Response(200)
        self.agent.asking[0].callback(response)
        self.assertEqual((opened.over, response.socket.producerState), ("its answer cannot be read", "stopped"))
        self.assertEqual((len(self.web), len(self.flushLoggedErrors(ValueError))), (0, 1))

    def test_without_length(self) -> None:
        """An answer that ends with its connection, as of HTTP/1.0, is whole."""
        opened, response = self.ask(), Response(200)
        self.agent.asking[0].callback(response)
        response.body.dataReceived(b"<p>")
        response.end(PotentialDataLoss)
        self.assertEqual((opened.data, opened.over, len(self.web)), (b"<p>", "", 0))

    def test_slow_browser(self) -> None:
        """Who does not read gets one window, and the machine waits."""
        self.browser.reads = False
        opened, response = self.ask(), Response(200)
        self.agent.asking[0].callback(response)
        response.body.dataReceived(bytes(WINDOW + 5))
        self.assertEqual((len(opened.data), response.socket.producerState), (WINDOW, "paused"))
        response.end()
        self.assertEqual(opened.over, None)
        self.browser.item(self.browser.last, Kind.CREDIT, (100).to_bytes(4, "big"))
        self.assertEqual((len(opened.data), opened.over), (WINDOW + 5, ""))

    def test_no_answer(self) -> None:
        """Why there is none; an answer that is cut is no answer."""
        opened = self.ask()
        self.agent.asking[0].errback(Failure(ConnectionRefusedError()))
        self.assertEqual(opened.over, "it cannot be reached: it refuses")
        opened = self.ask()
        self.clock.advance(WITHIN)
        self.assertEqual((opened.over, self.agent.cancelled), ("it cannot be reached: it does not answer", 1))
        opened, response = self.ask(), Response(200)
        self.agent.asking[-1].callback(response)
        response.body.connectionLost(Failure(ConnectionLost()))
        self.assertEqual((opened.over, len(self.web)), ("the answer was cut", 0))

    def test_gone(self) -> None:
        """Who is gone is not answered: the request ends, before its answer and in the middle of it."""
        self.ask()
        self.browser.item(self.browser.last, Kind.RESET)
        self.assertEqual(self.agent.cancelled, 1)
        self.ask()
        response = Response(200)
        self.agent.asking[1].callback(response)
        self.browser.item(self.browser.last, Kind.RESET)
        self.assertEqual((response.socket.producerState, len(self.web)), ("stopped", 0))

    def test_most(self) -> None:
        """There is an end to requests at once; all end with the service; the pages are told."""
        for _ in range(MOST):
            self.ask()
        self.assertIn("as many", str(self.ask().over))
        self.web.close()
        self.assertEqual((len(self.web), self.agent.cancelled), (0, MOST))
        self.assertEqual(self.browser.open(do="list").said, [{"pages": PAGES}])
