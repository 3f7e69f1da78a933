"""What a client asks of its machine, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.mesh import MeshConfig
from morphnet.config.names import AskedNames
from morphnet.config.roles import ClientConfig, Tuning
from morphnet.errors import HostError
from morphnet.host.behind import Behind
from morphnet.host.dns import Wish
from morphnet.host.host import ClientNetwork, Host
from morphnet.host.strict import StrictTable
from morphnet.host.uplinks import Uplink
from morphnet.roles.client.carrying import PATIENCE
from morphnet.roles.client.machine import Machine
from morphnet.roles.client.resolving import STUB, NoStub
from morphnet.tunnel.events import Effects
from morphnet.tunnel.path import State
from morphnet.tunnel.session import Session
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.batch import Endpoint
from morphnet.wire.messages.advice import Advice
from morphnet.wire.messages.control import Welcome
from morphnet.wire.messages.networks import Networks

NAMES = ("morph", "0.73.10.in-addr.arpa")
WAN = Uplink("wan", 2, True, ("192.168.5.2",), (), "192.168.5.1", None, 1500, 100)
INNER, IDS, DATA_PORT = ("10.73.0.2/24", "", "10.73.0.1", ""), (), 8000
WELCOME = Welcome(
    "aa" * 16, *INNER, 1400, ("10.73.0.1",), DATA_PORT, 0, IDS, "bond", "off", 120.0, 4096, 5.0, 50.0
)  # fmt: skip


def session(*, works: bool) -> Session:
    """With a path that may be used, or has fallen silent."""
    made = Tunnel(server=False, entropy=bytes).add_session("gw.example", b"1" * 16, Tuning())
    path = made.open_path(0, Endpoint("203.0.113.1", 8000), "wan", 0.0, Effects())
    path.enter(State.ACTIVE if works else State.SILENT, 0.0)
    return made


class FakeHost:
    """Remembers what it was asked to be; `refuses` for a machine that does not let us."""

    networks: tuple[str, ...] = ()
    manner = "file"  # what names are asked by

    def __init__(self) -> None:
        self.asked: list[ClientNetwork] = []
        self.refuses = False
        self.behind: list[Behind] = []
        self.shut_for: list[tuple[str, ...]] = []

    def shut(self, table: StrictTable) -> None:
        self.shut_for = [table.routes]

    def open_again(self) -> None:
        self.shut_for = []

    def asks_by(self) -> str:
        return self.manner

    def keep_outside(self) -> None:
        """Nothing to see."""

    def behind_are(self, behind: Behind) -> None:
        self.behind.append(behind)

    def client_up(self, network: ClientNetwork) -> None:
        """:raises HostError: it refuses."""
        if self.refuses:
            raise HostError("not permitted")
        self.asked.append(network)

    def set_uplinks(self, uplinks: object) -> None:
        """As client_up."""
        if self.refuses:
            raise HostError("not permitted")


class FakeStub(NoStub):
    """Remembers what it was to serve."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
        self.refuses = False

    def serve(self, domains: Sequence[str], servers: Sequence[str]) -> str:
        """:raises HostError: it refuses."""
        if self.refuses:
            raise HostError("taken")
        self.asked.append((tuple(domains), tuple(servers)))
        return STUB


class MachineTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.host, self.told = Clock(), FakeHost(), list[str]()
        self.machine = self.make(ClientConfig(server="gw.example"))

    def make(self, config: ClientConfig) -> Machine:
        """With one uplink."""
        host = cast(Host, self.host)
        machine = Machine(config, host, "morph0", lambda kind, text: self.told.append(kind), self.clock.seconds)
        machine.uplinks_are([WAN])
        return machine

    def carried(self) -> list[bool]:
        """Whether traffic was to go in, each time the host was asked."""
        return [each.carries for each in self.host.asked]

    def test_path(self) -> None:
        """Addresses come with the welcome, traffic with the first path, and it goes again a while after the last."""
        self.machine.welcomed(WELCOME)
        self.assertEqual((self.machine.inner, self.carried()), (("10.73.0.2", ""), [False]))
        for works in (False, True, True, False):
            self.machine.paths_of(session(works=works))
        self.assertEqual((self.carried(), self.told), ([False, True], ["traffic-tunnel"]))
        self.clock.advance(PATIENCE)
        self.machine.paths_of(session(works=False))
        self.assertEqual(self.carried(), [False, True, False])
        self.assertEqual((self.told[1:], self.machine.traffic), (["traffic-outside"], "outside"))

    def test_never(self) -> None:
        """When no path works from the start it is told once, in the words that `status` has for it."""
        texts: list[tuple[str, str]] = []
        for config, kind in (
            (ClientConfig(server="gw.example"), "traffic-outside"),
            (ClientConfig(server="gw.example", strict=True), "traffic-held"),
            (ClientConfig(server="gw.example", routes=()), "no-path"),
        ):
            texts.clear()
            host, tell = cast(Host, self.host), lambda *said: texts.append(said)
            machine = Machine(config, host, "morph0", tell, self.clock.seconds, lambda: "not connected: no answer")
            machine.uplinks_are([WAN])
            for _ in range(3):
                machine.paths_of(None)
                self.clock.advance(PATIENCE)
            self.assertEqual(texts, [(kind, "not connected: no answer")])

    def test_again(self) -> None:
        """The same welcome while a path works asks nothing new of the host."""
        self.machine.paths_of(session(works=True))
        for _ in range(2):
            self.machine.welcomed(WELCOME)
        self.assertEqual(self.carried(), [True])

    def test_nameless(self) -> None:
        """The kill switch keeps us from a local DNS server: that is said, if the gateway names none."""
        for strict, dns, routes, said in (
            (True, (), ("default",), 1),
            (False, (), ("default",), 0),
            (True, ("10.73.0.1",), ("default",), 0),
            (True, (), ("10.0.0.0/8",), 0),
        ):
            machine = self.make(ClientConfig(server="gw.example", strict=strict, routes=routes))
            self.assertEqual(machine.warnings(), ())
            machine.welcomed(replace(WELCOME, dns=dns))
            self.assertEqual(len(machine.warnings()), said)

    def split(self, config: ClientConfig | None = None) -> Machine:
        """A machine in a split tunnel, welcomed by a gateway that answers for names."""
        machine = self.make(config or ClientConfig(server="gw.example", routes=("10.73.0.0/24",)))
        machine.stub = self.stub = FakeStub()
        machine.welcomed(replace(WELCOME, names=True, domains=("corp.example",)))
        return machine

    def test_stub(self) -> None:
        """In a split tunnel our own server is in resolv.conf, and asks the gateway for what is the gateway's."""
        machine = self.split()
        self.assertEqual((self.host.asked[-1].dns.stub, self.stub.asked[-1]), (STUB, (NAMES, ("10.73.0.1",))))
        (said,) = machine.warnings()
        self.assertIn("the gateway knows names of corp.example", said)
        wanted = ClientConfig(server="gw.example", routes=("10.73.0.0/24",), names=AskedNames(("corp.example",)))
        machine.reconfigure(wanted)
        self.assertEqual((self.stub.asked[-1][0], machine.warnings()), ((*NAMES, "corp.example"), ()))
        self.assertEqual(self.host.asked[-1].dns.domains, (*NAMES, "corp.example"))

    def test_no_stub(self) -> None:
        """Where its address is taken, or resolvconf keeps the file, that is said, and all else is as it was."""
        machine = self.split()
        self.stub.refuses = True
        machine.welcomed(replace(WELCOME, names=True))
        self.assertEqual(self.host.asked[-1].dns.stub, "")
        self.assertEqual(machine.warnings(), ("names of the network are not known here: taken",))
        self.host.manner = "resolvconf"
        self.assertIn("resolvconf cannot ask", self.split().warnings()[0])
        self.host.manner = "resolved"
        self.assertEqual((len(self.split().warnings()), self.stub.asked), (1, []))

    def test_advised(self) -> None:
        """What a server advises takes the place of what it said in its welcome, and nothing before that."""
        self.machine.advised(Advice(("10.73.0.1",)))
        self.assertEqual(self.host.asked, [])
        self.machine.welcomed(WELCOME)
        for advice in (Advice(("10.73.0.1",), True), Advice(("10.73.0.1",), True), Advice()):
            self.machine.advised(advice)
        wishes = [each.dns for each in self.host.asked]
        self.assertEqual(wishes, [Wish(("10.73.0.1",)), Wish(("10.73.0.1",), True), Wish()])

    def test_strict(self) -> None:
        """A strict one leads everything into the tunnel at once, and not even the local network beside it."""
        machine = self.make(ClientConfig(server="gw.example", strict=True))
        machine.welcomed(WELCOME)
        machine.paths_of(session(works=True))
        self.clock.advance(PATIENCE)
        machine.paths_of(None)
        self.assertEqual([(each.carries, each.local) for each in self.host.asked], [(True, False)])
        self.assertEqual((machine.traffic, self.told), ("held", ["traffic-tunnel", "traffic-held"]))

    def test_reconfigured(self) -> None:
        """Other settings apply at once: routes, and the kill switch, which is shut before and opened after all else."""
        self.machine.reconfigure(ClientConfig(server="gw.example", dns=False))
        self.assertEqual(self.host.asked, [])  # no session yet
        self.machine.welcomed(WELCOME)
        self.machine.reconfigure(ClientConfig(server="gw.example", routes=("10.0.0.0/8",), strict=True))
        self.assertEqual(self.host.shut_for, [("10.0.0.0/8",)])
        last = self.host.asked[-1]
        self.assertEqual((last.routes, last.local, last.carries), (("10.0.0.0/8",), False, True))
        self.machine.reconfigure(ClientConfig(server="gw.example"))
        self.assertEqual((self.host.shut_for, self.carried()), ([], [False, True, False]))

    def test_refused(self) -> None:
        """What the host refuses is told, and asked for again with the next welcome."""
        self.host.refuses = True
        self.machine.welcomed(WELCOME)
        self.machine.uplinks_are([])
        self.assertEqual(self.told, ["host-trouble", "host-trouble"])
        self.assertEqual(len(self.flushLoggedErrors()), 0)
        self.host.refuses = False
        self.machine.welcomed(WELCOME)
        self.assertEqual(self.carried(), [False])

    def test_peers(self) -> None:
        """Among peers alone there is no traffic to speak of."""
        machine = self.make(ClientConfig())
        machine.among_peers(("10.73.0.2",), ("10.73.0.0/24",), 1400)
        self.assertEqual((machine.traffic, self.host.asked[0].inside), ("", ("10.73.0.0/24",)))

    def test_several_servers(self) -> None:
        """With several servers there is traffic as with one."""
        self.assertEqual(self.make(ClientConfig(servers=("gw1.example", "gw2.example"))).traffic, "outside")

    def test_networks(self) -> None:
        """What is behind it is led to, what is behind others goes into the tunnel; each once, until it is not."""
        self.machine = self.make(ClientConfig(server="gw.example", advertise=("192.168.7.0/24",)))
        self.machine.welcomed(WELCOME)
        said = Networks(carried=("192.168.7.0/24", "10.9.0.0/16"), reach=("10.5.0.0/16",))
        for _ in range(2):
            self.machine.networks_are(said)
        self.assertEqual(self.host.behind, [Behind(("192.168.7.0/24",))])
        self.assertEqual(["10.5.0.0/16" in each.inside for each in self.host.asked], [False, True])
        self.machine.networks_are(Networks(forwarded=True))
        self.assertEqual(self.host.behind[-1], Behind(called=True))
        self.assertNotIn("10.5.0.0/16", self.host.asked[-1].inside)

    def test_exit(self) -> None:
        """Without a server everything goes into the tunnel while the exit is there, and only then."""
        mesh = MeshConfig(("meet",), exit="home", exit_for=("phone",))
        self.machine = self.make(ClientConfig(mesh=mesh))
        self.machine.among_peers(("10.73.0.2",), ("10.73.0.0/24",), 1400)
        for names in ({}, {"home": ("10.73.0.3",)}, {"home": ("10.73.0.3",), "phone": ("10.73.0.4",)}, {}):
            self.machine.peers_are(names)
        self.assertEqual([each.routes for each in self.host.asked], [(), ("default",), ()])
        self.assertEqual(self.host.behind, [Behind(exits=("10.73.0.4",)), Behind()])
