"""A network in memory for control links: names, addresses, connections, and an office."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError, UserError
from twisted.internet.interfaces import IAddress, IHostnameResolver, IProtocol, IProtocolFactory, IResolutionReceiver
from twisted.internet.protocol import ClientFactory
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport, IOPump

from morphnet.errors import Refused
from morphnet.net.gate import Gate
from morphnet.net.lookup import Found
from morphnet.net.tls import Peer, ServerTls
from morphnet.roles.signalling.control_client import Link, Pushed
from morphnet.roles.signalling.control_server import Caller, ControlServer, Said
from morphnet.wire.messages.control import Goodbye, Hello, Joined, Renewed, Welcome
from tests.fakes_tls import CLIENT, SERVER, FakeCa
from tests.wire.messages.test_control import WELCOME

SERVER_HOST = "192.0.2.1"
CLIENT_HOST = "198.51.100.7"


def address_of(host: str, port: int) -> IPv4Address | IPv6Address:
    """A TCP address."""
    return IPv6Address("TCP", host, port) if ":" in host else IPv4Address("TCP", host, port)


class FakeConnector:
    """What connectTCP answers with."""

    def __init__(self, net: FakeNet, host: str, factory: ClientFactory) -> None:
        self._net, self.host, self.factory = net, host, factory

    def stopConnecting(self) -> None:
        """Give up; Twisted tells the factory."""
        self._net.open_calls.remove(self)
        self.factory.clientConnectionFailed(self, Failure(UserError()))  # type: ignore[arg-type]

    def getDestination(self) -> IPv4Address | IPv6Address:
        """Port 8443 of the host that is called."""
        return address_of(self.host, 8443)

    def refuse(self) -> None:
        """The server says no."""
        self._net.open_calls.remove(self)
        self.factory.clientConnectionFailed(self, Failure(ConnectionRefusedError()))  # type: ignore[arg-type]


class FakeResolver:
    """Knows names; answers at once, or when told to while `slow`."""

    def __init__(self) -> None:
        self.hosts: dict[str, list[str]] = {}
        self.slow = False
        self.lookups: list[Callable[[], None]] = []
        self.asked: list[Sequence[object] | None] = []

    def resolveHostName(
        self,
        receiver: IResolutionReceiver,
        name: str,
        port: int = 0,
        kinds: Sequence[type] | None = None,
        transport: str = "TCP",
    ) -> None:
        """Note the kinds, and tell the known addresses of them; while `slow`, once the test calls `lookups`."""
        self.asked.append(kinds)

        def answer() -> None:
            for host in self.hosts.get(name, []):
                address = address_of(host, port)
                if kinds is None or isinstance(address, tuple(kinds)):
                    receiver.addressResolved(address)
            receiver.resolutionComplete()

        if self.slow:
            self.lookups.append(answer)
        else:
            answer()


class FakeNet(Clock):
    """A reactor whose TCP goes to `servers` in memory; an address without one does not answer."""

    def __init__(self) -> None:
        super().__init__()
        self.resolver = FakeResolver()
        self.nameResolver = cast(IHostnameResolver, self.resolver)
        self.servers: dict[str, IProtocolFactory] = {}
        self.refusing: set[str] = set()
        self.dead: set[str] = set()  # addresses of ours from which nothing reaches anybody
        self.portals: dict[str, IProtocolFactory] = {}  # who answers for everybody, by the address of ours
        self.open_calls: list[FakeConnector] = []  # not answered yet
        self.called: list[tuple[str, object]] = []  # host and bind address of every call
        self.devices: list[str] = []  # that sockets were bound to
        self.pumps: list[IOPump] = []

    def connectTCP(
        self, host: str, port: int, factory: ClientFactory, timeout: float = 30, bindAddress: object = None
    ) -> FakeConnector:
        """Note the call. In a moment it is refused or accepted; it stays open when nobody answers."""
        connector = FakeConnector(self, host, factory)
        factory.doStart()
        factory.startedConnecting(connector)  # type: ignore[arg-type]
        self.open_calls.append(connector)
        self.called.append((host, bindAddress))
        if isinstance(bindAddress, tuple) and bindAddress[0] in self.dead:
            return connector
        portal = self.portals.get(bindAddress[0]) if isinstance(bindAddress, tuple) else None
        server = portal or self.servers.get(host)
        if host in self.refusing:
            self.callLater(0, self._answer, connector, connector.refuse)
        elif server is not None:
            self.callLater(0, self._answer, connector, partial(self.accept, connector, server))
        return connector

    def on_device(self, device: str) -> FakeNet:
        """Itself; the device is remembered."""
        self.devices.append(device)
        return self

    def _answer(self, connector: FakeConnector, how: Callable[[], None]) -> None:
        if connector in self.open_calls:
            how()

    def accept(self, connector: FakeConnector, called: IProtocolFactory) -> None:
        """Whoever is called there takes the call."""
        self.open_calls.remove(connector)
        here, there = address_of(CLIENT_HOST, 50000), address_of(connector.host, 8443)
        server = called.buildProtocol(here)
        client = connector.factory.buildProtocol(there)
        assert client is not None
        client_io = FakeTransport(client, False, here, there)
        if server is None:
            client.makeConnection(client_io)
            client_io.reportDisconnect()
            return
        self.join(server, cast(IProtocol, client), client_io, FakeTransport(server, True, there, here))

    def join(self, server: IProtocol, client: IProtocol, client_io: FakeTransport, server_io: FakeTransport) -> None:
        """Connect the two ends."""
        server.makeConnection(server_io)
        client.makeConnection(client_io)
        self.pumps.append(IOPump(client, server, client_io, server_io, False, clock=self))

    def settle(self) -> None:
        """Let everything that is under way arrive."""
        moved = True
        while moved:
            self.advance(0)
            moved = sum(pump.flush() for pump in list(self.pumps)) > 0

    def pass_by(self, seconds: float, step: float = 1.0) -> None:
        """Let time go by, bytes arriving meanwhile."""
        self.settle()
        while seconds > 0:
            self.advance(min(step, seconds))
            self.settle()
            seconds -= step


class FakeNames:
    """Who knows the server's name: each lookup is answered when a test says so."""

    def __init__(self) -> None:
        self.lookups: list[tuple[Found, Callable[[], None]]] = []

    def look_up(self, name: str, kinds: Sequence[type[IAddress]], found: Found, done: Callable[[], None]) -> None:
        self.lookups.append((found, done))

    def tell(self, *hosts: str, device: str) -> None:
        """The last lookup is answered by one uplink."""
        self.lookups[-1][0](list(hosts), device)

    def end(self) -> None:
        """And nobody has more to say."""
        self.lookups[-1][1]()


class FakeOffice:
    """Says yes, unless told otherwise."""

    def __init__(self) -> None:
        self.refuse: Refused | None = None
        self.broken: Exception | None = None
        self.hold: Deferred[None] | None = None  # hello waits for it
        self.callers: list[Caller] = []
        self.hellos: list[Hello] = []
        self.signals: list[Said | Goodbye] = []
        self.welcomes: list[Hello] = []
        self.went: list[str] = []
        self.keys: list[bytes] = []
        self.joined: list[tuple[str, str, str]] = []
        self.renewed: list[tuple[str, str]] = []  # whose, and the request

    async def hello(self, caller: Caller, hello: Hello) -> Welcome:
        """Wait for `hold`, refuse if told to, or else note everything and give WELCOME."""
        if self.hold is not None:
            await self.hold
        self._maybe_refuse()
        self.callers.append(caller)
        self.hellos.append(hello)
        self.keys.append(caller.export(bytes.fromhex(WELCOME.session)))
        return WELCOME

    def welcomed(self, caller: Caller, hello: Hello) -> None:
        self.welcomes.append(hello)

    def signal(self, caller: Caller, signal: Said | Goodbye) -> None:
        self.signals.append(signal)

    def gone(self, caller: Caller, reason: str) -> None:
        """Strike the caller off, and note why."""
        self.callers.remove(caller)
        self.went.append(reason)

    async def join(self, invitation: Peer, csr: str) -> Joined:
        """Note who joins with what, or refuse."""
        self._maybe_refuse()
        self.joined.append((invitation.serial, invitation.name, csr))
        return Joined("CERTIFICATE", "CA")

    async def renew(self, present: Peer, csr: str) -> Renewed:
        """Note who renews with what, or refuse."""
        self._maybe_refuse()
        self.renewed.append((present.name, csr))
        return Renewed("NEXT")

    def _maybe_refuse(self) -> None:
        if self.refuse is not None:
            raise self.refuse
        if self.broken is not None:
            raise self.broken


class FakeListener:
    """Remembers what it heard."""

    def __init__(self, name: str = "laptop") -> None:
        self.name = name
        self.heard: list[tuple[object, ...]] = []
        self.link: Link | None = None
        self.key = b""

    def hello(self) -> Hello:
        """A Hello of its name."""
        return Hello(name=self.name)

    def welcomed(self, welcome: Welcome, link: Link) -> None:
        """Keep the link, and the key that it exports for this session."""
        self.heard.append(("welcomed",))
        self.link, self.key = link, link.export(bytes.fromhex(welcome.session))

    def refused(self, reason: str, retry_after: float | None) -> None:
        self.heard.append(("refused", reason, retry_after))

    def failed(self, reason: str) -> None:
        self.heard.append(("failed", reason))

    def signal(self, signal: Pushed) -> None:
        self.heard.append(("signal", signal))

    def lost(self, reason: str) -> None:
        self.heard.append(("lost", reason))


class Gateway:
    """A whole server in memory, at SERVER_HOST."""

    def __init__(self) -> None:
        self.net = FakeNet()
        self.ca = FakeCa()
        self.office = FakeOffice()
        self.revoked: set[str] = set()
        self.tls = ServerTls(self.ca.identity("gateway", SERVER), lambda peer: peer.serial in self.revoked)
        self.server = ControlServer(self.tls, self.office, Gate(self.net))
        self.net.servers[SERVER_HOST] = self.server.factory
        self.laptop = self.ca.identity("laptop", CLIENT)
