"""How the local operator is let in; the door itself is tried with a real ssh in tests/lab."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.manhole import ManholeConfig
from morphnet.errors import ConfigError
from morphnet.ops.manhole import MAX_OPERATORS, Door, ManholeService, ssh_config
from tests.ops.fakes import FakeNode

RUN, STATE = Path("/run/100% odd"), Path("/var/lib/morphnet")


def _service(listen: str) -> ManholeService:
    no_reactor = cast("Any", None)
    return ManholeService(no_reactor, ManholeConfig(listen=listen), RUN, STATE, FakeNode())


class FakeSsh:
    """What speaks SSH, as far as the door needs it."""

    def __init__(self) -> None:
        self.connections: set[int] = set()
        self.started = 0

    def doStart(self) -> None:
        self.started += 1

    def buildProtocol(self, addr: object) -> int:
        self.connections.add(len(self.connections) + 1)
        return len(self.connections)


class DoorTests(SynchronousTestCase):
    def test_too_many(self) -> None:
        """SSH is loaded once, for the first who comes; one connection over the limit is not taken."""
        made = list[FakeSsh]()

        def make() -> FakeSsh:
            made.append(FakeSsh())
            return made[-1]

        door = Door(make)
        self.assertEqual((door.connections, made), ((), []))
        taken = [door.buildProtocol(None) for _ in range(MAX_OPERATORS + 1)]
        self.assertEqual([each is None for each in taken], [False] * MAX_OPERATORS + [True])
        self.assertEqual([each.started for each in made], [1])


class ConfigTests(SynchronousTestCase):
    def test_every_network(self) -> None:
        """An address that stands for all is refused before anything is opened."""
        for listen in ("0.0.0.0:22", "[::]:22", ":::22"):
            error = self.assertRaises(ConfigError, _service, listen)
            self.assertIn("would open the manhole to every network", str(error))
        for listen in ("22", "localhost:22", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", ":22", "127.0.0.1:²"):
            self.assertRaises(ConfigError, _service, listen)

    def test_addresses(self) -> None:
        """Loopback, and one address that was written out, are taken."""
        self.assertIsNone(ManholeConfig().address())
        self.assertEqual(ManholeConfig(listen="127.0.0.1:2222").address(), ("127.0.0.1", 2222))
        self.assertEqual(ManholeConfig(listen="[::1]:2222").address(), ("::1", 2222))
        self.assertEqual(ManholeConfig(listen="192.0.2.1:2222").address(), ("192.0.2.1", 2222))

    def test_disabled(self) -> None:
        """Turned off, it neither makes keys nor listens."""
        no_reactor = cast("Any", None)
        service = ManholeService(no_reactor, ManholeConfig(enabled=False), RUN, STATE, FakeNode())
        service.startService()
        self.successResultOf(service.stopService())

    def test_ssh_config(self) -> None:
        """Paths with blanks and percent signs survive ssh's own expansion; nobody else's key or host is believed."""
        text = ssh_config(None, RUN / "manhole.sock", RUN / "known", STATE / "key")
        self.assertIn("'/run/100%% odd/manhole.sock'", text)
        self.assertIn('UserKnownHostsFile "/run/100%% odd/known"', text)
        self.assertIn("StrictHostKeyChecking yes", text)
        text = ssh_config(("::1", 2222), RUN / "manhole.sock", RUN / "known", STATE / "key")
        self.assertIn("HostName ::1\n    Port 2222\n    ProxyCommand none", text)
