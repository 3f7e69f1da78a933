"""A node and its server: one of several, it may be, and the session is with that one alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from morphnet.config.roles import CONTROL_PORT, ClientConfig
from morphnet.host.uplinks import Uplink
from morphnet.net.ondevice import Source
from morphnet.net.pump import Pump
from morphnet.pki.names import split_address
from morphnet.roles.carry.ports import Ports
from morphnet.roles.client.beyond import Beyond
from morphnet.roles.client.certified_node import Certificates, CertifiedNode
from morphnet.roles.client.lastword import LastWord
from morphnet.roles.client.leading import Leading
from morphnet.roles.client.machine import Machine, path_works
from morphnet.roles.client.told_networks import ToldNetworks
from morphnet.roles.client.uplink_paths import plain_paths, sources_of
from morphnet.status import CarryStatus, NetworkStatus
from morphnet.tunnel.session import Session
from morphnet.wire.messages.access import Holders
from morphnet.wire.messages.advice import Advice
from morphnet.wire.messages.networks import Advertise, Networks


class ServedNode(CertifiedNode):
    """What a client knows of who its server is."""

    def __init__(self, config: ClientConfig, pump: Pump, certificates: Certificates) -> None:
        super().__init__(config.name, pump, certificates)
        self.config = config
        self._server = ""  # the name of who is spoken with
        self._server_hosts: tuple[str, ...] = ()  # its addresses, the best first
        self.ports: Ports | None = None  # where programs hand in UDP that is carried
        self.uplinks: list[Uplink] = []
        self._leading = Leading(pump.now)
        self._beyond: Machine | None = None  # who knows of networks behind clients and peers, once there are any
        self._told_of = ToldNetworks(pump.now, pump.later, self._heed_networks)  # by the server
        self._advice = LastWord(pump.now, pump.later, self._heed_advice)
        self._relays_told: tuple[str, ...] = ()  # where machines of this network meet, as its server says
        self._nowhere: tuple[str, ...] = ()  # one sentence for each of them that leads nowhere
        if config.carry:
            self.sections = ("sessions", "carries", *self.sections[1:])
        if config.advertise or config.mesh.through or config.mesh.exit:
            self.sections = (*self.sections, "networks")

    def spoken_with(self, place: str) -> None:
        """
        The server of this HOST or HOST:PORT has proved itself: what is said from now on is for it.

        It goes by its host where there are several, and else by the name that its certificate must carry.
        """
        host, _ = split_address(place, CONTROL_PORT)
        self._server = host if self.config.servers else self.config.server_name or host

    def _told(self, kind: str, text: str) -> None:
        """What a part of ours tells, of no session."""
        self.tell(kind, "", text)

    def is_served(self) -> bool:
        """Whether a path of the session works."""
        return path_works(self._session())

    def server_session(self) -> str:
        """The name of the session with the server; "" while there is none."""
        session = self._session()
        return session.peer if session is not None else ""

    def carrying_is(self, services: Sequence[str]) -> None:
        """The server knows these services: what is to be carried to another one leads nowhere, and that is said."""
        self._nowhere = self.ports.missing(services) if self.ports is not None else ()
        for sentence in self._nowhere:
            self.tell("carry", "", sentence)

    def warnings(self) -> tuple[str, ...]:
        """What the operator should see to."""
        unmet = self._relays_told and not self.config.mesh.relays and self.config.tun
        places = ",".join(self._relays_told)
        hint = (f"the network has relays: `morphnet set mesh.relays {places}` and a restart have its machines meet",)
        return (*super().warnings(), *self._nowhere, *(hint if unmet else ()))

    def sources(self) -> list[Source]:
        """The uplinks, best first, once for each family: where the control link may start from."""
        return sources_of(self.uplinks)

    def _server_tells(self, machine: Machine, said: Networks | Holders | Advice) -> None:
        """The server tells of networks behind clients, of who they are, or advises other things than before."""
        if isinstance(said, Holders):
            self.access.told(said)
            return
        self._beyond = machine
        if isinstance(said, Advice):
            self._advice.say(said)
            return
        if "networks" not in self.sections:
            self.sections = (*self.sections, "networks")
        self._told_of.are(said)

    def _heed_networks(self, said: Networks) -> None:
        if self._beyond is not None:
            self._beyond.networks_are(said)

    def _heed_advice(self, said: Advice) -> bool:
        if self._beyond is not None:
            self._beyond.advised(said)
        self._relays_are(said.relays)
        return True

    def _relays_are(self, told: Sequence[str]) -> None:
        """Machines of this network meet there."""
        if told != self._relays_told and told:
            self._told("relays", f"the server says that machines meet at {', '.join(told)}")
        self._relays_told = tuple(told)
        if self.mesh is not None:
            self.mesh.relays_are(told)

    def _peers_lead(self, machine: Machine, names: Mapping[str, Sequence[str]]) -> None:
        """With these peers there is a session: what is behind some of them is reached, as the operator has named it."""
        self._beyond = machine
        self.access.peers_are(machine.inner, self.config.mesh.networks, names)
        self._leading.are(names)
        self.look_at_peers(anew=True)

    def look_at_peers(self, *, anew: bool = False) -> None:
        """Whether those that lead somewhere are there; called now and then as well."""
        machine, sessions, mesh = self._beyond, self.tunnel.sessions, self.mesh
        if machine is None or mesh is None:
            return
        relays = mesh.relays
        lead = self._leading.look(lambda name: path_works(sessions.get(name)), lambda name: bool(relays.having(name)))
        if lead == machine.beyond.peers and not anew:
            return
        machine.peers_are(lead)
        behind = machine.beyond.behind_peers(self.config)
        inner = self.config.mesh.networks if any(behind.values()) else ()  # an address there is of a certificate alone
        for peer in self._leading.names.keys() & sessions.keys():
            sessions[peer].inbound.networks.are([(None, inner), (True, behind.get(peer, ()))])
        led = ((sessions[peer], networks) for peer, networks in behind.items() if peer in sessions)
        self.tunnel.behind.are([(None, inner), *led])

    def _advertise(self, config: ClientConfig, keys: Collection[str]) -> None:
        """Tell a server that understands which networks are behind us, if they are others now."""
        if "advertise" in keys and self.link is not None and self._told_of.told:
            self.link.send(Advertise(config.advertise))

    def network_statuses(self) -> tuple[NetworkStatus, ...]:
        """Behind us, and behind others."""
        beyond = self._beyond.beyond if self._beyond is not None else Beyond()
        return beyond.statuses(self.config)

    def carry_statuses(self) -> tuple[CarryStatus, ...]:
        """One for each entry."""
        return self.ports.statuses() if self.ports is not None else ()

    def idle_uplinks(self) -> list[str]:
        """The uplinks whose paths do not work, while the control link is up: without it, they are all called anyway."""
        session = self._session()
        if session is None or self.link is None:
            return []
        plain = plain_paths(session)
        working = {path.uplink for path in plain if path.usable}
        return [path.uplink for path in plain if path.uplink not in working]

    def _session_there(self) -> Session | None:
        """The session with who is spoken with; one with another server is of no use to it."""
        session = self._session()
        return session if session is not None and session.peer == self._server else None

    def _leave_other(self) -> None:
        """End the session with another server: this one has welcomed us."""
        self._told_of.welcomed()
        self._advice.withdraw()
        other = self._session()
        if other is not None and other.peer != self._server:
            self.tell("server", self._server, f"{self._server} is the server now; it was {other.peer}")
            self.tunnel.drop_session(other.peer)
            self._told_of.forget()  # this one says what it knows
            self._server_hosts = ()
