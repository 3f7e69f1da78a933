"""Settings that are read further."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import ServerConfig, Tuning


class TuningTests(SynchronousTestCase):
    def test_compression(self) -> None:
        """Nothing is compressed unless somebody asks for it: beside a secret, lengths tell of it (VORACLE)."""
        self.assertEqual(Tuning().compression, "off")


class ServerConfigTests(SynchronousTestCase):
    def test_stream_ports(self) -> None:
        """Clients come by TCP at the control port, and sooner where it is likelier to get through; or nowhere."""
        self.assertEqual(ServerConfig(name="x").stream_ports(), (8443,))
        self.assertEqual(ServerConfig(name="x", stream_port=443).stream_ports(), (443, 8443))
        self.assertEqual(ServerConfig(name="x", stream_port=443, control_port=443).stream_ports(), (443,))
        self.assertEqual(ServerConfig(name="x", stream_port=443, streams=False).stream_ports(), ())
