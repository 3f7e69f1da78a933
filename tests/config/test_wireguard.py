"""What an operator may say about WireGuard beside our own protocol."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.file import loads
from morphnet.config.roles import ServerConfig
from morphnet.config.wireguard import WireGuardConfig, listen_wrong
from morphnet.errors import ConfigError


def server(text: str) -> ServerConfig:
    return loads(ServerConfig, f'name = "gw"\n{text}', Path("server.toml"))


class WireGuardTests(SynchronousTestCase):
    def test_off_by_default(self) -> None:
        """Nothing is opened that nobody asked for."""
        self.assertEqual(server("").wireguard, WireGuardConfig(listen=""))
        self.assertEqual(WireGuardConfig().port, 0)

    def test_listen(self) -> None:
        """It is at every address, so an address of its own would be a promise that nobody keeps."""
        self.assertEqual(server('[wireguard]\nlisten = "0.0.0.0:51820"').wireguard.port, 51820)
        self.assertEqual(server('[wireguard]\nlisten = "[::]:443"').wireguard.port, 443)
        for wrong in ("51820", "0.0.0.0", "gw.example:51820", "0.0.0.0:0", "0.0.0.0:65536", "0.0.0.0:x", "::"):
            self.assertIn("must be 0.0.0.0:51820", listen_wrong(wrong) or "", wrong)
        self.assertIn("every address", listen_wrong("192.0.2.1:51820") or "")

    def test_beside_all_else(self) -> None:
        """A port, a device or an MTU that cannot be is told at once."""
        begin = '[wireguard]\nlisten = "0.0.0.0:51820"\n'
        old = "[legacy.morphprotocol]\nenabled = true\nport = 51820\n"
        for text, sentence in (
            (f"data_port = 51820\n{begin}", "'listen' has UDP port 51820, which is taken here"),
            (old + begin, "'listen' has UDP port 51820, which is taken here"),
            (f'forward = ["51820/udp=laptop:1"]\n{begin}', "a port that this server serves itself"),
            (f'{begin}device = "morph0"', "'device' and 'tun' are both 'morph0'"),
            (f"{begin}phone_mtu = 1279", "'phone_mtu' must be at least 1280"),
        ):
            self.assertIn(sentence, str(self.assertRaises(ConfigError, server, text)))
        self.assertEqual(server(f"pool6 = ''\n{begin}phone_mtu = 1000").wireguard.phone_mtu, 1000)
        self.assertEqual(server("data_port = 51820").data_port, 51820)
