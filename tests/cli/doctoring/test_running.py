"""What processes say of themselves, turned into what to do."""

from __future__ import annotations

from dataclasses import replace

from morphnet import __version__
from morphnet.cli import systemd
from morphnet.cli.doctoring.network import CHECKS as NETWORK
from morphnet.cli.doctoring.running import CHECKS
from morphnet.status import UplinkStatus
from tests.cli.doctoring.patients import PatientCase
from tests.ops.pictures import NAS, NODE, RELAYS
from tests.ports import free_port

PATH = NODE.sessions[0].paths[0]
WELL = replace(PATH, state="active", loss=0.0, mtu=1440, rtt=0.02)


class RunningTests(PatientCase):
    def setUp(self) -> None:
        super().setUp()
        self.client()
        good = replace(NODE, role="client", version=__version__, warnings=(), relays=(), peers=(), well=True)
        self.picture = good

    def on(self, **changes: object) -> None:
        """A client with one path."""
        session = replace(NODE.sessions[0], paths=(replace(WELL, **changes),))  # type: ignore[arg-type]
        self.runs(replace(self.picture, sessions=(session,)))

    def test_well(self) -> None:
        """Server and relay do not run, which may be what is wanted; all else is well."""
        self.on()
        states = self.states(CHECKS)
        self.assertEqual(states.pop("what is set up runs"), "note")
        self.assertEqual(set(states.values()), {"ok"}, states)

    def test_dead(self) -> None:
        """A process that does not answer."""
        self.running["client"] = 5
        found = [each for each in self.faults(CHECKS, "what is set up runs") if each.grave]
        self.assertIn("process 5, and does not answer", found[0].text)

    def test_words(self) -> None:
        """Its headline, its warnings, another version."""
        self.runs(
            self.picture, well=False, headline="not connected: no uplink", warnings=("see to it",), version="0.0.1"
        )
        states = self.states(CHECKS)
        self.assertEqual(states["it does what it is there for"], "bad")
        self.assertEqual(states["it has nothing to complain of"], "note")
        self.assertEqual(states["it is of the version that is installed"], "note")

    def test_units(self) -> None:
        """A service that was set up by an earlier version, or changed since; what runs in another way has none."""
        look = "its service is as this version writes it"
        self.patch(systemd, "is_outdated", lambda role: role.name == "client")
        self.assertEqual(self.faults(CHECKS, look), [])
        self.patch(systemd, "is_for", lambda role: True)
        (found,) = self.faults(CHECKS, look)
        self.assertIn("rm /etc/systemd/system/morph-client.service && morphnet up client", found.cure)

    def test_paths(self) -> None:
        """One that is silent, loses, is narrow or slow."""
        for changes, said in (
            ({"state": "silent"}, "is silent"),
            ({"loss": 0.2}, "loses 20%"),
            ({"mtu": 1000}, "takes 1000 bytes"),
            ({"rtt": 3.0}, "3.0 s there and back"),
        ):
            self.on(**changes)
            (found,) = self.faults(CHECKS, "every path carries")
            self.assertIn(said, found.text)

    def test_metered(self) -> None:
        """A path whose size nobody has asked, since each byte costs, is not narrow."""
        self.picture = replace(self.picture, uplinks=(UplinkStatus(PATH.uplink, "up", 0.0, "", metered=True),))
        self.on(mtu=1200)
        self.assertEqual(self.faults(CHECKS, "every path carries"), [])

    def test_relay_beside(self) -> None:
        """The relay that `init` writes is not missed while the server beside it runs; at a port of its own it is."""
        self.on()
        self.running["server"] = 5
        self.pictures["server"] = replace(self.picture, role="server")
        self.assertEqual(self.faults(CHECKS, "what is set up runs"), [])
        self.assertEqual(self.faults(NETWORK, "the server's ports are free for it"), [])
        self.place.relay_toml.write_text(f"control_port = {free_port()}\n{self.place.relay_toml.read_text()}")
        (found,) = self.faults(CHECKS, "what is set up runs")
        self.assertEqual(found.text, "relay does not run")

    def test_relays(self) -> None:
        """A relay that is not reached, a peer that has no way."""
        self.runs(
            self.picture,
            relays=RELAYS,
            peers=(NAS, replace(NAS, name="attic", way="none")),
        )
        texts = [each.text for each in self.faults(CHECKS, "relays and peers are reached")]
        self.assertEqual(len(texts), 2)
        self.assertIn("203.0.113.5 is not reached", texts[0])
        self.assertIn("no way to attic", texts[1])
