"""The key of a server's WireGuard, and the order in which its machine is changed."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import ServerConfig
from morphnet.errors import ConfigError, HostError
from morphnet.host.phones import PhonesHost
from morphnet.roles.server.accounting import Meter
from morphnet.roles.server.phones import NoGround
from morphnet.roles.server.wireguard import KEY_FILE, Machine, phones_of, server_key
from morphnet.store.memory import MemoryStore
from morphnet.wire.wireguard import key_bytes


class KeyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.dir = Path(self.mktemp())
        self.dir.mkdir()

    def test_made_once(self) -> None:
        """It is made when it is needed first, for its owner alone, and stays."""
        key = server_key(self.dir)
        self.assertEqual(len(key_bytes(key)), 32)
        self.assertEqual(server_key(self.dir), key)
        self.assertEqual(stat.S_IMODE((self.dir / KEY_FILE).stat().st_mode), 0o600)

    def test_spoilt(self) -> None:
        """A file that holds none is not replaced: every phone would have to be invited anew."""
        (self.dir / KEY_FILE).write_text("nothing")
        self.assertIn("holds no key", str(self.assertRaises(ConfigError, server_key, self.dir)))
        self.assertEqual((self.dir / KEY_FILE).read_text(), "nothing")
        self.assertRaises(HostError, server_key, self.dir / "nowhere")


class FakeHost:
    """Remembers the order."""

    def __init__(self) -> None:
        self.done: list[object] = []

    def wireguard_up(self, device: str) -> bool:
        self.done.append("up")
        return False

    def phones_are(self, device: str, mtu: int, addresses: list[str]) -> None:
        self.done.append(addresses)

    def phones_judged(self, device: str, lines: list[str]) -> None:
        self.done.append((device, lines))

    def phones_refused(self) -> tuple[int, int]:
        return 3, 1

    def wireguard_down(self) -> None:
        self.done.append("down")


class MachineTests(SynchronousTestCase):
    def test_order(self) -> None:
        """It is guarded before anybody is led to it, and until nobody is."""
        host = FakeHost()
        machine = Machine(cast(PhonesHost, host), host.done.append)
        self.assertFalse(machine.wireguard_up("morphwg0"))
        machine.phones_judged("morphwg0", [])
        machine.phones_are("morphwg0", 1420, ["10.73.0.5"])
        self.assertEqual(machine.phones_refused(), (3, 1))
        machine.wireguard_down()
        self.assertEqual(host.done, ["up", ("morphwg0",), ("morphwg0", []), ["10.73.0.5"], "down", ()])

    def test_made(self) -> None:
        """Where nobody wants phones nothing is made, not even a key."""
        config = ServerConfig(name="gw", state_dir=Path(self.mktemp()), pki_dir=Path(self.mktemp()))
        clock, store = Clock(), MemoryStore()
        make = phones_of(config, clock, NoGround(), cast(Meter, None), store, clock.seconds)
        phones = make(lambda kind, name, text: None)
        self.successResultOf(phones.look())
        self.assertFalse(config.pki_dir.exists())
