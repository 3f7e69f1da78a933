"""
A door to an XMPP server: an upload service as an external component.

Source: XEP-0114 (components), XEP-0363 1.2 (HTTP File Upload), XEP-0030 (discovery), XEP-0128, XEP-0199 (ping).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.application.internet import ClientService, backoffPolicy
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger
from twisted.words.protocols.jabber import xmlstream
from twisted.words.protocols.jabber.component import componentFactory
from twisted.words.protocols.jabber.jid import JID, InvalidFormat
from twisted.words.xish.domish import Element
from zope.interface import implementer

from morphnet.wire.messages.upload.requests import (
    NAMESPACE,
    PURPOSES,
    PURPOSES_NAMESPACE,
    SlotGiven,
    SlotNotGiven,
    SlotRequest,
    read_request,
)

Give = Callable[[SlotRequest], Coroutine[Any, Any, SlotGiven]]
_STANZAS, _TEXTS = "urn:ietf:params:xml:ns:xmpp-stanzas", "http://jabber.org/protocol/disco#info"
_ITEMS, _PING, _FORM = "http://jabber.org/protocol/disco#items", "urn:xmpp:ping", "jabber:x:data"
LET_IN_WITHIN = 15.0  # seconds from the connection to being let in
_KEEPALIVE = (  # seconds of silence before a question, and between questions; how many
    (socket.TCP_KEEPIDLE, 60),
    (socket.TCP_KEEPINTVL, 15),
    (socket.TCP_KEEPCNT, 4),
)
_MOST_WAITING = 200  # requests that are worked on at once


class UploadComponent:
    """
    Answers requests for slots, for as long as the XMPP server lets us; it is called again and again.

    :param jid: ours, as `upload.example.org`.
    :param secret: shared with the server.
    :param told: hears "" when we are let in, and else why not.
    """

    _log = Logger()

    def __init__(self, jid: str, secret: str, max_size: int, give: Give, told: Callable[[str], None]) -> None:
        self._jid, self._max_size, self._give, self._told = jid, max_size, give, told
        self._stream: Any = None
        self._waiting = 0
        self._clock: Any = None
        self._timers: dict[Any, Any] = {}  # stream that is not let in yet -> what ends it
        self._factory: Any = componentFactory(jid, secret)
        self._factory.addBootstrap(xmlstream.STREAM_CONNECTED_EVENT, self._connected)
        self._factory.addBootstrap(xmlstream.STREAM_AUTHD_EVENT, self._let_in)
        self._factory.addBootstrap(xmlstream.INIT_FAILED_EVENT, lambda _: self._told("it refuses the component"))
        self._factory.addBootstrap(xmlstream.STREAM_ERROR_EVENT, self._refused)
        self._factory.addBootstrap(xmlstream.STREAM_END_EVENT, self._lost)

    def use(self, secret: str) -> None:
        """Be let in by this secret from the next connection on."""
        self._factory.authenticator.password = secret

    def service(self, reactor: Any, host: str, port: int) -> ClientService:
        """What keeps the connection to the server."""
        self._clock = reactor
        endpoint = HostnameEndpoint(reactor, host.encode(), port, timeout=10.0)

        def failed(failure: Any) -> None:
            self._told(failure.getErrorMessage().rstrip("."))

        return ClientService(_Watched(endpoint, failed), self._factory, backoffPolicy(0.5, 15.0), clock=reactor)

    def _connected(self, stream: Any) -> None:
        def too_slow() -> None:
            del self._timers[stream]
            self._told("it does not answer")
            stream.transport.abortConnection()

        if self._clock is not None:
            self._timers[stream] = self._clock.callLater(LET_IN_WITHIN, too_slow)
            stream.addObserver(xmlstream.STREAM_END_EVENT, lambda _: self._in_time(stream))

    def _in_time(self, stream: Any) -> None:
        if (timer := self._timers.pop(stream, None)) is not None:
            timer.cancel()

    def _let_in(self, stream: Any) -> None:
        self._in_time(stream)
        stream.transport.setTcpKeepAlive(True)  # a server that is gone without a word is noticed within two minutes
        for option, value in _KEEPALIVE:
            stream.transport.getHandle().setsockopt(socket.IPPROTO_TCP, option, value)
        self._stream = stream
        for kind in ("get", "set"):
            stream.addObserver(f"/iq[@type='{kind}']", self._asked)
        self._told("")

    def _refused(self, error: Any) -> None:
        condition = getattr(getattr(error, "value", None), "condition", "") or "an error"
        self._told(f"it refuses the component: {condition}")

    def _lost(self, _: Any) -> None:
        if self._stream is not None:
            self._stream = None
            self._told("the connection was lost")

    # -- what is asked -------------------------------------------------------------------------------------------------

    def _asked(self, iq: Element) -> None:
        query = next(iq.elements(), None)
        uri, name = (query.uri, query.name) if query is not None else ("", "")
        if iq["type"] == "get" and (uri, name) == (NAMESPACE, "request") and query is not None:
            Deferred.fromCoroutine(self._slot(iq, query))
        elif iq["type"] == "get" and uri == _TEXTS and query is not None and not query.getAttribute("node"):
            self._answer(iq, self._info())
        elif iq["type"] == "get" and uri == _ITEMS:
            self._answer(iq, Element((_ITEMS, "query")))
        elif iq["type"] == "get" and uri == _PING:
            self._answer(iq)
        else:
            self._fail(iq, SlotNotGiven("service-unavailable", "cancel", "this service gives slots for uploads alone"))

    def _info(self) -> Element:
        query = Element((_TEXTS, "query"))
        identity = query.addElement("identity")
        identity["category"], identity["type"], identity["name"] = "store", "file", "HTTP File Upload"
        purposes = (f"{PURPOSES_NAMESPACE}#{each}" for each in PURPOSES)
        for feature in (_TEXTS, _ITEMS, _PING, NAMESPACE, *purposes):
            query.addElement("feature")["var"] = feature
        form = query.addElement((_FORM, "x"))
        form["type"] = "result"
        for name, kind, value in (("FORM_TYPE", "hidden", NAMESPACE), ("max-file-size", "", str(self._max_size))):
            field = form.addElement("field")
            field["var"] = name
            if kind:
                field["type"] = kind
            field.addElement("value", content=value)
        return query

    async def _slot(self, iq: Element, asked: Element) -> None:
        if self._waiting >= _MOST_WAITING:
            busy = SlotNotGiven("resource-constraint", "wait", "too many ask at once", again_at=time.time() + 10)
            self._fail(iq, busy)
            return
        self._waiting += 1
        try:
            purpose = next((each.name for each in asked.elements() if each.uri == PURPOSES_NAMESPACE), "message")
            said = {str(name): str(value) for name, value in asked.attributes.items()}
            given = await self._give(read_request(_bare(iq), said, purpose))
        except SlotNotGiven as refused:
            self._fail(iq, refused)
        except Exception:
            self._log.failure("a slot could not be given")
            self._fail(iq, SlotNotGiven("internal-server-error", "wait", "something went wrong here"))
        else:
            self._answer(iq, _told_slot(given))
        finally:
            self._waiting -= 1

    # -- what is answered ----------------------------------------------------------------------------------------------

    def _answer(self, iq: Element, content: Element | None = None) -> None:
        answer = self._to(iq, "result")
        if content is not None:
            answer.addChild(content)
        self._send(answer)

    def _fail(self, iq: Element, refused: SlotNotGiven) -> None:
        answer = self._to(iq, "error")
        error = answer.addElement("error")
        error["type"] = refused.kind
        error.addElement((_STANZAS, refused.condition))
        text = error.addElement((_STANZAS, "text"), content=str(refused))
        text[("http://www.w3.org/XML/1998/namespace", "lang")] = "en"
        if refused.max_size is not None:
            large = error.addElement((NAMESPACE, "file-too-large"))
            large.addElement("max-file-size", content=str(refused.max_size))
        if refused.again_at is not None:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(refused.again_at + 1))
            error.addElement((NAMESPACE, "retry"))["stamp"] = stamp
        self._send(answer)

    def _to(self, iq: Element, kind: str) -> Element:
        answer = Element((None, "iq"))
        answer["type"] = kind
        for name, value in (("id", iq.getAttribute("id")), ("to", iq.getAttribute("from")), ("from", self._jid)):
            if value:
                answer[name] = value
        return answer

    def _send(self, answer: Element) -> None:
        if self._stream is not None:
            self._stream.send(answer)


@implementer(IStreamClientEndpoint)
class _Watched:
    """An endpoint that tells when nobody answers there."""

    def __init__(self, endpoint: HostnameEndpoint, failed: Callable[[Any], None]) -> None:
        self._endpoint, self._failed = endpoint, failed

    def connect(self, factory: Any) -> Any:
        """See IStreamClientEndpoint."""
        calling = self._endpoint.connect(factory)

        def tell(failure: Any) -> Any:
            self._failed(failure)
            return failure

        return calling.addErrback(tell)


def _bare(iq: Element) -> str:
    try:
        return str(JID(iq.getAttribute("from") or "").userhost())
    except InvalidFormat:
        raise SlotNotGiven("jid-malformed", "modify", "that is no address") from None


def _told_slot(given: SlotGiven) -> Element:
    slot = Element((NAMESPACE, "slot"))
    put = slot.addElement("put")
    put["url"] = given.put
    for name, value in given.headers.items():
        put.addElement("header", content=value)["name"] = name
    slot.addElement("get")["url"] = given.get
    return slot
