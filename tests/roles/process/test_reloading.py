"""Settings that apply while a process runs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.file import settings
from morphnet.config.roles import ClientConfig, ServerConfig, Tuning
from morphnet.errors import ConfigError
from morphnet.roles.client.node import LIVE
from morphnet.roles.process.reloading import Reloading
from morphnet.roles.server.node import LIVE as LIVE_AT_SERVER


class FakeClient:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[ClientConfig, list[str]]] = []
        self.knows = ""

    def reconfigure(self, config: ClientConfig, keys: Collection[str]) -> str:
        self.told.append((config, list(keys)))
        return self.knows


class ReloadingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.before = self.fresh = ClientConfig(server="a")
        self.client, self.reloading = FakeClient(), Reloading(self.before, lambda: self.fresh, LIVE)

    def test_applied(self) -> None:
        """What can be applied is, the rest is named, and named again until there is a restart."""
        self.fresh = replace(self.before, routes=("10.0.0.0/8",), tuning=Tuning(scheduler="best", mtu=1300))
        restart = "tuning.mtu: restart the process to apply"
        self.assertEqual(self.reloading.reload(self.client), f"routes, tuning.scheduler: applied; {restart}")
        ((config, keys),) = self.client.told
        self.assertEqual(
            (config.routes, config.tuning.mtu, keys), (("10.0.0.0/8",), 1400, ["routes", "tuning.scheduler"])
        )
        self.assertEqual(self.reloading.reload(self.client), restart)
        self.assertEqual(len(self.client.told), 1)

    def test_together(self) -> None:
        """What would be wrong without a setting that needs a restart waits for that, too."""
        self.before = replace(self.before, streams=False)
        self.reloading = Reloading(self.before, lambda: self.fresh, LIVE)
        self.fresh = replace(self.before, shape="web", shape_web="https://www.example.org/a", streams=True)
        told = self.reloading.reload(self.client)
        self.assertEqual(told, "shape, shape_web, streams: restart the process to apply")
        self.assertEqual(self.client.told, [])

    def test_known(self) -> None:
        """What is to be known about it is said with it."""
        self.fresh, self.client.knows = replace(self.before, tuning=Tuning(scheduler="best")), "one direction"
        self.assertEqual(self.reloading.reload(self.client), "tuning.scheduler: applied (one direction)")

    def test_none_live(self) -> None:
        """Of a process that can apply nothing, everything is named."""
        self.fresh = replace(self.before, routes=("10.0.0.0/8",))
        told = Reloading(self.before, lambda: self.fresh).reload(self.client)
        self.assertEqual((told, self.client.told), ("routes: restart the process to apply", []))

    def test_nothing(self) -> None:
        """Without a change nothing is touched."""
        self.assertEqual((self.reloading.reload(self.client), self.client.told), ("no setting has changed", []))

    def test_mistake(self) -> None:
        """A mistake in the file leaves all as it is."""

        def read() -> ClientConfig:
            raise ConfigError("client.toml, line 3: no")

        reloading = Reloading(self.before, read, LIVE)
        self.assertRaises(ConfigError, reloading.reload, self.client)
        self.assertEqual(self.client.told, [])

    def test_real(self) -> None:
        """What is said to apply at once is a setting."""
        self.assertEqual(LIVE - {each.key for each in settings(ClientConfig)}, set())
        self.assertEqual(LIVE_AT_SERVER - {each.key for each in settings(ServerConfig)}, set())
