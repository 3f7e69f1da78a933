"""
Networks behind clients, and ports of this machine that lead to clients.

What a client offers is used when the operator has approved it, see `rendezvous/advertising`. Then the client may send
from there, packets for it go into that client's session, this machine's routes lead into the tunnel, and every other
client that understands is told. All of that follows at once when an offer, an approval or a client comes or goes.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import Deferred

from morphnet.config.networks import Forward, forward
from morphnet.config.roles import ServerConfig
from morphnet.errors import HostError
from morphnet.host.outside import Network
from morphnet.rendezvous.advertising import REFUSED, STANDBY, USED, Advertised, Standing, reached_by, used_of
from morphnet.rendezvous.owned import Own, Owned
from morphnet.roles.signalling.control_server import Caller
from morphnet.status import NetworksStatus, NetworkStatus
from morphnet.store.base import Approval, Lease, Store
from morphnet.tunnel.behind import Behind
from morphnet.tunnel.path import State
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.messages.codec import phrase
from morphnet.wire.messages.control import Hello
from morphnet.wire.messages.networks import MOST_OFFERED, MOST_REACHED, Networks

AGAIN_AFTER = 30.0  # seconds until a machine is asked once more for what it has refused
LOOK_AFTER = 0.2  # seconds from one look to the next, however many come and go meanwhile
_UNTOLD = "and the kernel has not told yet what the gateway reaches by itself"
READ_EVERY = 2.0  # seconds between looks what is approved
AWAY = 15.0  # seconds without a datagram after which another client may take a network over: three heartbeats


class Ground(Protocol):
    """The machine that this server runs on."""

    def lead_in(self, behind: Sequence[str], forwards: Sequence[str]) -> None:
        """
        Let these networks and ports lead into the tunnel, and no others.

        :raises HostError: the machine refuses.
        """
        ...

    @property
    def families(self) -> Collection[int]:
        """4 and 6: those that it has inside. What is of the other one can be led nowhere."""
        ...

    def elsewhere(self) -> list[Network]:
        """
        The networks that it reaches without the tunnel.

        :raises HostError: the kernel does not tell.
        """
        ...


class NoGround:
    """No machine: nothing leads in, and nothing is elsewhere."""

    def lead_in(self, behind: Sequence[str], forwards: Sequence[str]) -> None:
        """Nothing does."""

    families = (4, 6)

    def elsewhere(self) -> list[Network]:
        """There are none."""
        return []


@dataclass(frozen=True)
class Around:
    """What there is around it."""

    tunnel: Tunnel
    store: Store
    ground: Ground
    now: Callable[[], float]  # the data plane's clock
    tell: Callable[[str, str, str], None]  # kind, client, sentence: for the history
    later: Callable[[float, Callable[[], None]], object]  # call that after so many seconds


class NetworksBehind:
    """Of one server."""

    def __init__(self, config: ServerConfig, around: Around) -> None:
        self._config, self._around = config, around
        self._advertised = Advertised()
        self._standings: list[Standing] = []  # as they were last
        self._of: dict[str, list[Standing]] = {}  # the same by client
        self._ports = tuple(map(forward, config.forward))
        self._looked_at = float("-inf")
        self._look_is_due = False  # one was asked for, and comes soon
        self._reached = Owned(Own(each, _UNTOLD) for each in ("0.0.0.0/0", "::/0"))  # the gateway's own, as said last
        self._reached_at = float("-inf")
        self._hearing: dict[str, Caller] = {}  # clients that understand, by name
        self._told: dict[str, Networks] = {}  # what each was told last
        self._said_of: tuple[list[Standing], tuple[Forward, ...]] | None = None  # what that was made from
        self._heeded_at = float("-inf")  # when a client's change of mind was heeded at once
        self._leaving: set[str] = set()  # clients that have said goodbye, and did not come again
        self._hosts: dict[str, str] = {}  # where control links come from, by client
        self._inner: dict[str, tuple[str, ...]] = {}  # inner addresses, by client
        self._holders: dict[str, str] = {}  # the reverse
        self._led: tuple[tuple[str, ...], tuple[str, ...]] = (), ()  # what leads into the tunnel now
        self._refused: tuple[tuple[str, ...], tuple[str, ...]] | None = (
            None  # what the machine did not let us, and when
        )
        self._refused_at = 0.0
        self._troubles: tuple[str, ...] = ()

    # -- what happens --------------------------------------------------------------------------------------------------

    def begin(self, approved: Iterable[Approval], leases: Iterable[Lease]) -> None:
        """What the records say at the start."""
        self._advertised.approved = frozenset(approved)
        self._all_leased(leases)
        self.look()

    def came(self, name: str, hello: Hello, lease: Lease, host: str) -> None:
        """
        A client is let in; its session is there.

        :param host: the address that its control link comes from; that counts until the session ends.
        """
        self._leased(lease)
        self._hosts[name] = host
        self._leaving.discard(name)
        self._advertised.offers(name, hello.advertise)
        self._look_soon()

    def welcomed(self, caller: Caller, hello: Hello) -> None:
        """And knows it."""
        self._told.pop(caller.name, None)
        if hello.networks:
            self._hearing[caller.name] = caller
            if not self._look_is_due:  # which tells everybody: what it offers is not known to be in use before
                self._inform(caller.name)

    def offers(self, name: str, networks: Sequence[str]) -> None:
        """A client offers others from now on. Who changes its mind all the time waits for the next regular look."""
        self._advertised.offers(name, networks)
        now = self._around.now()
        if now - self._heeded_at >= READ_EVERY:
            self._heeded_at = now
            self.look()

    def said_goodbye(self, name: str) -> None:
        """A client ends, or calls anew: what it has behind it stays, unless another waits for it."""
        self._leaving.add(name)
        self._look_soon()

    def left(self, caller: Caller) -> None:
        """Its control link is gone, and the session goes on."""
        if self._hearing.get(caller.name) is caller:
            del self._hearing[caller.name]

    def reconfigure(self, config: ServerConfig) -> None:
        """Live by these settings."""
        self._config, self._ports = config, tuple(map(forward, config.forward))
        self.look()

    def read(self) -> Deferred[NetworksStatus]:
        """Look what is approved now; answers with how it stands, also if the records cannot be read."""
        return Deferred.fromCoroutine(self._read())

    async def _read(self) -> NetworksStatus:
        try:
            self._advertised.approved = frozenset(await self._around.store.approved())
            if self._config.forward:
                self._all_leased(await self._around.store.leases())
        except HostError:
            pass  # they are read again soon
        self._reached_at = float("-inf")
        self.look()
        return NetworksStatus(self.statuses())

    # -- what comes of it ----------------------------------------------------------------------------------------------

    def _look_soon(self) -> None:
        """At once, but not again and again where many come together, as they do after a restart."""
        wait = self._looked_at + LOOK_AFTER - self._around.now()
        if wait <= 0:
            self.look()
        elif not self._look_is_due:
            self._look_is_due = True
            self._around.later(wait, self._look_late)

    def _look_late(self) -> None:
        if self._look_is_due:
            self.look()

    def look(self) -> None:
        """See who has what now, and make it so."""
        tunnel, now = self._around.tunnel, self._around.now()
        self._looked_at, self._look_is_due = now, False
        for name in self._advertised.clients:
            if name not in tunnel.sessions:
                self._advertised.offers(name, ())
        for name in self._hosts.keys() - tunnel.sessions.keys():
            del self._hosts[name]
        away = set(self._leaving)
        if self._advertised.clients:  # a look at each session, in each look, is felt with a thousand of them
            away |= {name for name, session in tunnel.sessions.items() if now - session.heard_at > AWAY}
        self._advertised.families = frozenset(self._around.ground.families)
        before, self._standings = self._standings, self._advertised.standings(self._own(), away)
        self._of = {}
        for each in self._standings:
            self._of.setdefault(each.client, []).append(each)
        used = used_of(self._standings)
        for name, session in tunnel.sessions.items():
            if used or session.inbound.networks.masks:
                session.inbound.networks.are([(True, used.get(name, ()))])
        tunnel.behind.are((tunnel.sessions[name], networks) for name, networks in used.items())
        self._lead_in(tuple(network for networks in used.values() for network in networks))
        self._say(before)
        self._inform_all()

    def _own(self) -> Sequence[Owned]:
        now = self._around.now()
        if now - self._reached_at >= READ_EVERY:
            self._reached, self._reached_at = self._reaches(), now
        return self._reached, Owned(self._callers())

    def _reaches(self) -> Owned:
        config = self._config
        pools = [Own(each, "the inner network") for each in (config.pool4, config.pool6) if each]
        try:
            elsewhere = self._around.ground.elsewhere()
        except HostError:
            return self._reached  # it is asked again soon
        return Owned([*pools, *(Own(each.prefix, f"which the gateway reaches by {each.device}") for each in elsewhere)])

    def _callers(self) -> Iterator[Own]:
        """Addresses from which clients come: what we send to them must not be led into the tunnel that it carries."""
        offered = Behind[str]()
        offered.are((each, (each,)) for each in self._advertised.offered)
        if not offered.masks:
            return
        for name, session in self._around.tunnel.sessions.items():
            proven = [
                each for each in session.paths.values() if each.validation.validated and each.state != State.CLOSED
            ]
            for host in {self._hosts.get(name, ""), *(each.remote.host for each in proven)}:
                if offered.owner(_packed(host)):
                    yield Own(host, f"from which {name} comes")

    def _lead_in(self, behind: tuple[str, ...]) -> None:
        wanted, now = (behind, self._forwards()), self._around.now()
        if wanted == self._led:
            self._refused, self._troubles = None, ()
            return
        if wanted == self._refused and now - self._refused_at < AGAIN_AFTER:
            return
        try:
            self._around.ground.lead_in(*wanted)
        except HostError as problem:
            self._refused, self._refused_at = wanted, now
            trouble = f"networks behind clients, or ports that lead to them, could not be set up: {problem}"
            if trouble not in self._troubles:
                self._around.tell("host-trouble", "", trouble)
            self._troubles = (trouble,)
        else:
            self._led, self._refused, self._troubles = wanted, None, ()

    def _forwards(self) -> tuple[str, ...]:
        """As `host/nat` has them."""
        return tuple(
            f"{each.protocol} {each.listen} {address} {each.port}"
            for each in self._ports
            for address in self._inner.get(each.client, ())
        )

    def _all_leased(self, leases: Iterable[Lease]) -> None:
        self._inner, self._holders = {}, {}
        for lease in leases:
            self._leased(lease)

    def _leased(self, lease: Lease) -> None:
        self._inner[lease.name] = tuple(each for each in (lease.inner4, lease.inner6) if each)
        for address in self._inner[lease.name]:
            before, self._holders[address] = self._holders.get(address, lease.name), lease.name
            if before != lease.name:
                self._inner.pop(before, None)  # it was released

    def _inform_all(self) -> None:
        """Of what has changed; and those whom nobody has told anything yet."""
        changed, self._said_of = self._said_of != (self._standings, self._ports), (self._standings, self._ports)
        for name in self._hearing:
            if changed or name not in self._told:
                self._inform(name)

    def _inform(self, name: str) -> None:
        """Tell a client how it stands, if it is anything else than before."""
        own = [each for each in self._of.get(name, ()) if each.state != "idle"]
        said = Networks(
            used_of(own).get(name, ()),
            tuple(phrase(_advice(each)) for each in own if each.why)[:MOST_OFFERED],
            reached_by(name, self._standings)[:MOST_REACHED],
            any(each.client == name for each in self._ports),
        )
        if self._told.get(name) != said:
            self._told[name] = said
            self._hearing[name].send(said)

    def _say(self, before: Sequence[Standing]) -> None:
        """For the history."""
        known = {(each.client, each.network): each.state for each in before}
        for each in self._standings:
            if known.get((each.client, each.network)) != each.state and each.state != "idle":
                text = f"{each.network} {each.why}" if each.why else f"{each.network} is reached behind it"
                self._around.tell(f"network-{each.state}", each.client, text)

    # -- what ops sees -------------------------------------------------------------------------------------------------

    def statuses(self) -> tuple[NetworkStatus, ...]:
        """Networks, then ports."""
        found = [NetworkStatus(each.network, each.client, each.state, each.why) for each in self._standings]
        return (*found, *(self._status_of(each) for each in self._ports))

    def _status_of(self, port: Forward) -> NetworkStatus:
        why = self._unknown(port)
        return NetworkStatus(
            port.shown, port.client, REFUSED if why else "forwarded", why or f"to its port {port.port}"
        )

    def _unknown(self, port: Forward) -> str:
        return "" if port.client in self._inner else "leads to a client that nobody knows here"

    def _cut(self) -> Iterator[str]:
        many = sum(each.state == USED for each in self._standings)
        own = [sum(each.state == USED for each in self._of.get(name, ())) for name in self._hearing]
        if many - min(own, default=many) > MOST_REACHED:
            yield f"{many} networks are behind clients, and a client is told of {MOST_REACHED} at most: approve fewer"

    def warnings(self) -> tuple[str, ...]:
        """What the operator should see to."""
        ports = (each for each in self._ports if self._unknown(each))
        refused = (f"{each.network} of {each.client} {each.why}" for each in self._standings if each.state == REFUSED)
        return (
            *self._troubles,
            *self._cut(),
            *refused,
            *(f"port {each.shown} {self._unknown(each)}: {each.client}" for each in ports),
        )


def _packed(host: str) -> bytes:
    """Of an address; nothing of a way that has none."""
    try:
        return ipaddress.ip_address(host).packed
    except ValueError:
        return b""


def _advice(standing: Standing) -> str:
    """How it stands with a network of a client's own, in a sentence for its operator."""
    if standing.state == "asked":
        command = f"morphnet routes approve {standing.client} {standing.network}"
        return (
            f"{standing.network} is not reached behind this machine before it is approved on the gateway: `{command}`"
        )
    if standing.state == STANDBY:
        return f"{standing.network} {standing.why}"
    return f"{standing.network} is refused by the gateway: it {standing.why}"
