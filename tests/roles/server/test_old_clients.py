"""What a server opens for clients of the original."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.legacy import MorphProtocolConfig
from morphnet.legacy.control import INACTIVITY, write_handshake
from morphnet.roles.process.legacy_key import read_key
from morphnet.roles.server import legacy
from morphnet.roles.server.legacy import SWEEP_EVERY, Around
from morphnet.roles.server.old_clients import OldClients
from tests.fakes_meter import FakeMeter
from tests.legacy.test_control import HANDSHAKE
from tests.legacy.test_session import HOME
from tests.roles.server.test_legacy import FakeDoor


class OldClientsTests(SynchronousTestCase):
    def test_life(self) -> None:
        """The key is made, ports are opened, the silent are looked for, health is served; and all is closed."""
        self.patch(legacy, "FragmentingDoor", FakeDoor)
        self.patch(FakeDoor, "every", [])
        clock, numbers = MemoryReactorClock(), iter(range(9))
        path = Path(self.mktemp())
        config = MorphProtocolConfig(enabled=True, key_file=path, timeout_s=30.0, health="127.0.0.1:8080")
        around = Around(clock, lambda: next(numbers), clock.seconds, lambda *words: None, FakeMeter())
        old = OldClients(config, around)
        (control,), key = FakeDoor.every, read_key(path)
        control.hears(HOME, key.seal(write_handshake(HANDSHAKE)))
        self.assertEqual((old.health()["status"], old.metrics()["legacy_sessions"]), ("ok", 1))
        self.assertEqual([(port, interface) for port, _, _, interface in clock.tcpServers], [(8080, "127.0.0.1")])
        control.said()
        clock.pump([SWEEP_EVERY] * 7)
        self.assertEqual([key.open(each) for _, each in control.said()], [INACTIVITY])
        self.assertIn("udp 12301", old.listening())
        self.successResultOf(Deferred.fromCoroutine(old.close()))
        self.assertEqual((clock.getDelayedCalls(), any(door.is_open for door in FakeDoor.every)), ([], False))
