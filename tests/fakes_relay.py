"""A relay in memory: nodes that behave, and a WebSocket that says what it is told to."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, cast

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.test.iosim import FakeTransport
from twisted.trial.unittest import SynchronousTestCase
from txaio.tx import config as autobahn_config

from morphnet.net.dial import Destination, Net
from morphnet.net.gate import Gate
from morphnet.net.limits import Limits
from morphnet.net.tls import ClientTls, Identity, ServerTls
from morphnet.net.websocket import SUBPROTOCOL
from morphnet.rendezvous.relay.registry import Registry, Terms
from morphnet.roles.relay.lines import RelayLine, RelayServer
from morphnet.roles.signalling.relay_client import RelayClient
from morphnet.wire.batch import Arrival
from morphnet.wire.messages.relay import (
    EVERYBODY,
    Asked,
    Drain,
    Notice,
    Present,
    Register,
    Registered,
    RelayMessage,
    Renewed,
    decode,
)
from morphnet.wire.messages.revocations import Listing
from tests.fakes_control import CLIENT_HOST, SERVER_HOST, FakeNet, address_of
from tests.fakes_tls import CLIENT, SERVER, FakeCa

MANY = Limits(rate=1e6, burst=1 << 20)


class FakeListener:
    """Remembers what it heard, in words."""

    def __init__(self, name: str, watch: tuple[str, ...] = (EVERYBODY,), instance: int = 1) -> None:
        self.words = Register(name, f"{instance:016x}", watch)
        self.heard: list[tuple[object, ...]] = []
        self.arrivals: list[tuple[str, bytes, int]] = []

    def register(self) -> Register:
        """The same words each time."""
        return self.words

    def registered(self, relay: RelayClient, answer: Registered) -> None:
        """Note it; what the answer says is not kept."""
        self.heard.append(("registered",))

    def refused(self, relay: RelayClient, reason: str, retry_after: float | None) -> None:
        self.heard.append(("refused", reason, retry_after))

    def failed(self, relay: RelayClient, reason: str) -> None:
        self.heard.append(("failed", reason))

    def lost(self, relay: RelayClient, reason: str) -> None:
        self.heard.append(("lost", reason))

    def present(self, relay: RelayClient, peer: Present) -> None:
        self.heard.append(("present", peer.name))

    def absent(self, relay: RelayClient, name: str) -> None:
        self.heard.append(("absent", name))

    def said(self, relay: RelayClient, message: Drain | Renewed | Notice | Asked | Listing) -> None:
        self.heard.append(("said", message))

    def handshake(self, relay: RelayClient, name: str, content: bytes) -> None:
        self.heard.append(("handshake", name, content))

    def called(self, relay: RelayClient, name: str) -> None:
        self.heard.append(("called", name))

    def arrived(self, arrivals: Sequence[Arrival]) -> None:
        """Keep each as (host, data, size)."""
        self.arrivals += [(each.source.host, bytes(each.data), each.size) for each in arrivals]


class FakeLists:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def joined(self, line: RelayLine, number: int) -> None:
        self.told.append(("joined", line.name, number))

    def left(self, line: RelayLine) -> None:
        self.told.append(("left", line.name))

    def heard(self, line: RelayLine, message: Listing) -> None:
        self.told.append(("heard", line.name, message))


class Raw(WebSocketClientProtocol):
    """A WebSocket without manners."""

    def __init__(self) -> None:
        super().__init__()
        self.open = self.gone = False
        self.texts: list[bytes] = []
        self.binaries: list[bytes] = []

    def onOpen(self) -> None:
        self.open = True

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        (self.binaries if isBinary else self.texts).append(payload)

    def connectionLost(self, reason: Any = None) -> None:
        self.gone = True
        self._connectionLost(reason)

    def say(self, message: bytes, *, binary: bool = False) -> None:
        """Send it."""
        self.sendMessage(message, binary)

    def messages(self) -> list[RelayMessage]:
        """All that the relay has said."""
        return [decode(text) for text in self.texts]


class RelayTestCase(SynchronousTestCase):
    """A relay at SERVER_HOST."""

    def setUp(self) -> None:
        self.net, self.ca = FakeNet(), FakeCa()
        self.patch(autobahn_config, "loop", self.net)  # the one clock that Autobahn knows
        self.revoked: set[str] = set()
        self.tls = ServerTls(self.ca.identity("relay", SERVER), lambda peer: peer.serial in self.revoked)
        self.serve()

    def serve(self, limits: Limits = MANY, terms: Terms = Terms()) -> None:  # noqa: B008  # frozen
        """Anew, with other limits."""
        self.registry = Registry(self.net, random.Random(1).randbytes, terms)
        self.lists = FakeLists()
        self.relay = RelayServer(self.tls, self.registry, Gate(self.net), self.lists, limits)
        self.net.servers[SERVER_HOST] = self.relay.factory

    def client(
        self, listener: FakeListener, identity: Identity | None = None, relay: str = "relay", door: int = 7
    ) -> RelayClient:
        """A node that has not called yet."""
        tls = ClientTls(identity or self.ca.identity(listener.words.name, CLIENT), relay)
        return RelayClient(cast(Net, self.net), tls, Destination(SERVER_HOST, 443), door, listener)

    def node(self, name: str, *watch: str, instance: int = 1) -> tuple[RelayClient, FakeListener]:
        """A node that is registered."""
        listener = FakeListener(name, watch or (EVERYBODY,), instance)
        client = self.client(listener)
        client.connect()
        self.net.settle()
        self.assertEqual(listener.heard[:1], [("registered",)])
        listener.heard = [each for each in listener.heard if each[0] == "present"]
        return client, listener

    def knock(self, client: IProtocol, host: str = CLIENT_HOST) -> bool:
        """Connect from `host`; False when not even let in."""
        here, there = address_of(host, 40000), address_of(SERVER_HOST, 443)
        server = self.relay.factory.buildProtocol(here)
        if server is None:
            return False
        self.net.join(
            server, client, FakeTransport(client, False, here, there), FakeTransport(server, True, there, here)
        )
        return True

    def make_raw(self) -> Raw:
        """One that is not connected."""
        return Raw()

    def raw(self, identity: Identity | None = None, *, protocols: tuple[str, ...] = (SUBPROTOCOL,)) -> Raw:
        """A node that misbehaves, both handshakes done."""
        raw = self.make_raw()
        factory = WebSocketClientFactory("wss://relay/", protocols=list(protocols), reactor=self.net)
        factory.protocol = lambda: raw  # type: ignore[assignment]
        tls = ClientTls(identity or self.ca.identity("laptop", CLIENT), "relay")
        outer = TLSMemoryBIOFactory(tls, True, cast(IProtocolFactory, factory), self.net).buildProtocol(None)
        self.assertTrue(self.knock(cast(IProtocol, outer)))
        self.net.settle()
        return raw
