"""How our sockets are seen from outside: what NATs make of their addresses, as the relays' echoes tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from morphnet.net.pump import Pump
from morphnet.traversal.reflexive import ReflexiveClient
from morphnet.tunnel.events import Effects
from morphnet.wire.candidates import LINE, SERVER_REFLEXIVE, SYMMETRIC, Candidate, read_candidates
from morphnet.wire.messages.relay import Registered


class Relay(Protocol):
    """One that we have a line to, as its `roles.signalling.relay_client.RelayClient`."""

    @property
    def number(self) -> int:
        """Among all doors."""
        ...

    @property
    def address(self) -> str:
        """Numeric."""
        ...

    @property
    def local(self) -> str:
        """Our numeric address on the line."""
        ...

    @property
    def answer(self) -> Registered | None:
        """What it said at first, while the line is up."""
        ...


class Outside:
    """Asks the echo of each relay that has one, as long as the line to it is up."""

    def __init__(self, pump: Pump, entropy: Callable[[int], bytes]) -> None:
        self._pump, self._entropy = pump, entropy
        self._clients: dict[int, ReflexiveClient] = {}  # by number of the relay
        self._relays: dict[int, Relay] = {}  # whose line is up
        self._families: Mapping[int, bool] = {}

    # -- who is asked, about what --------------------------------------------------------------------------------------

    def joined(self, relay: Relay, answer: Registered) -> None:
        """The line to that relay is up."""
        self._relays[relay.number] = relay
        if answer.echo_port:
            ports = tuple(port for port in (answer.echo_port, answer.second_port) if port)
            ids = bytes.fromhex(answer.echo_id), bytes.fromhex(answer.echo_key)
            client = self._clients[relay.number] = ReflexiveClient(relay.address, ports, *ids, self._entropy)
            self._pump.tunnel.add_extension(client.id, client)
            client.use(dict(self._families), self._pump.now())
            self._pump.carry_out(Effects())

    def left(self, relay: Relay) -> None:
        """It is not up any more."""
        self._relays.pop(relay.number, None)
        client = self._clients.pop(relay.number, None)
        if client is not None:
            self._pump.tunnel.drop_extension(client.id, client)

    def sockets_are(self, families: Mapping[int, bool]) -> None:
        """
        We have these sockets for direct paths.

        :param families: number of each, and whether it is IPv6.
        """
        self._families = families
        for client in self._clients.values():
            client.use(dict(families), self._pump.now())
        self._pump.carry_out(Effects())

    def hurry(self) -> None:
        """What NATs make of our addresses matters now."""
        for client in self._clients.values():
            client.hurry(self._pump.now())

    # -- what is known -------------------------------------------------------------------------------------------------

    def rtt(self, relay: Relay) -> float | None:
        """Seconds to a relay and back; None while its echo has not answered."""
        client = self._clients.get(relay.number)
        return client.rtt() if client is not None else None

    def echo_of(self, relay: Relay) -> ReflexiveClient | None:
        """Who asks that relay's echo; None when it has none, or the line is down."""
        return self._clients.get(relay.number)

    def candidates(self) -> list[Candidate]:
        """As what the relays see our sockets."""
        found: dict[Candidate, None] = {}
        for client in self._clients.values():
            for socket in client.sockets.values():
                found.update((Candidate(SERVER_REFLEXIVE, seen.host, seen.port), None) for seen in socket.seen.values())
            found.update((Candidate(SYMMETRIC, seen.host, 1), None) for seen in client.varying())
        return list(found)

    def lines(self) -> list[tuple[str, Candidate]]:
        """Our address on the line to each relay, and the one that the relay sees."""
        up = [(relay.local, relay.answer.observed) for relay in self._relays.values() if relay.answer is not None]
        return [(local, each) for local, seen in up for each in read_candidates(seen) if each.kind == LINE]

    def varying_doors(self) -> list[int]:
        """Numbers of the sockets whose router is known to give each destination another port."""
        return [number for client in self._clients.values() for number in client.sockets if client.varies(number)]

    def varies(self, number: int) -> bool:
        """Whether that socket is one of them."""
        return any(client.varies(number) for client in self._clients.values())

    def udp_is_blocked(self) -> bool:
        """Whether relays are reached, and none of them ever by UDP, though there was time."""
        now = self._pump.now()
        return bool(self._clients) and all(client.is_deaf(now) for client in self._clients.values())
