"""Settings that are wrong together."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.mesh import MeshConfig
from morphnet.config.roles import ClientConfig, RelayConfig, ServerConfig, Tuning
from morphnet.config.whole import check_whole


class WholeTests(SynchronousTestCase):
    def wrong(self, config: object) -> str | None:
        """The setting to point at."""
        found = check_whole(config)
        return found[0] if found is not None else None

    def test_client(self) -> None:
        """A client needs a server, or relays."""
        self.assertEqual(self.wrong(ClientConfig()), "server")
        for config in (
            ClientConfig(server="h"),
            ClientConfig(servers=("a", "b")),
            ClientConfig(mesh=MeshConfig(relays=("r",))),
        ):
            self.assertIsNone(self.wrong(config))

    def test_one_or_several(self) -> None:
        """One server, or several, and not both: whoever adds some to a file that has one is told so."""
        self.assertEqual(self.wrong(ClientConfig(server="a", servers=("b", "c"))), "servers")

    def test_pools(self) -> None:
        """Who joins needs an address of one kind, and IPv6 an MTU that it can have."""
        for role in (ServerConfig, RelayConfig):
            self.assertEqual(self.wrong(role(name="x", pool4="", pool6="")), "pool4")
            self.assertIsNone(self.wrong(role(name="x", pool4="")))
        narrow = Tuning(mtu=1000)
        self.assertEqual(self.wrong(ServerConfig(name="x", tuning=narrow)), "tuning.mtu")
        self.assertIsNone(self.wrong(ServerConfig(name="x", tuning=narrow, pool6="")))

    def test_proxy(self) -> None:
        """A web server in front needs a port of its own, which clients are told."""
        self.assertEqual(self.wrong(ServerConfig(name="x", proxy=True)), "stream_port")
        self.assertEqual(self.wrong(ServerConfig(name="x", proxy=True, stream_port=8443)), "stream_port")
        self.assertIsNone(self.wrong(ServerConfig(name="x", proxy=True, stream_port=443)))
