"""The setting `shape`."""

from __future__ import annotations

import random
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.file import loads
from morphnet.config.roles import ClientConfig
from morphnet.config.shapes import LONGEST_NAME, SHAPES, sni_of
from morphnet.errors import ConfigError
from morphnet.wire.shapes.quic import MOST_GREETING, WITH_INITIAL, Quic


class ShapeTests(SynchronousTestCase):
    def read(self, text: str) -> ClientConfig:
        """A client's settings."""
        return loads(ClientConfig, f'server = "vpn.example"\n{text}', Path("x.toml"))

    def test_choices(self) -> None:
        """Plain is what nobody has chosen; a shape that there is not is refused with the ones that there are."""
        self.assertEqual(self.read("").shape, "plain")
        for shape in SHAPES:
            self.assertEqual(self.read(f'shape = "{shape}"').shape, shape)
        with self.assertRaises(ConfigError) as refused:
            self.read('shape = "invisible"')
        self.assertIn("masked", str(refused.exception))

    def test_seed(self) -> None:
        """The format `seed` shows its nonce where the mask takes its sample: the two do not go together."""
        with self.assertRaises(ConfigError) as refused:
            self.read('shape = "masked"\n[tuning]\nframing = "seed"')
        self.assertIn("compact", str(refused.exception))

    def test_longest_sni(self) -> None:
        """Every name that may be set fits into an Initial beside the most that goes with it; others are refused."""
        longest = ".".join(["a" * 54] * 4) + "b"
        self.assertEqual(len(longest), LONGEST_NAME)
        self.assertEqual(self.read(f'shape_sni = "{longest}"').shape_sni, longest)
        quic = Quic(bytes(32), random.Random(1).randbytes, longest)
        for _ in range(500):  # each draws what padding it has
            dressed, size = quic.flow().dress(bytes(MOST_GREETING), MOST_GREETING, 0, 0, WITH_INITIAL)
            self.assertEqual((len(dressed), size, dressed[0] >> 6), (WITH_INITIAL, WITH_INITIAL, 3))
        with self.assertRaises(ConfigError) as refused:
            self.read(f'shape_sni = "{longest}b"')
        self.assertIn("220", str(refused.exception))
        self.assertEqual([sni_of("", [longest]), sni_of("", [longest + "b"])], [longest, ""])

    def test_sni(self) -> None:
        """The name to show is the operator's, else the server's own; an address is none, what is no name is refused."""
        self.assertEqual(self.read("").shape_sni, "")
        self.assertEqual(self.read('shape_sni = "www.example.org"').shape_sni, "www.example.org")
        for wrong in ("192.0.2.1", "a b", "-a.example", "a..example", "x" * 64, "2001:db8::1", "ä.example"):
            with self.assertRaises(ConfigError) as refused:
                self.read(f'shape_sni = "{wrong}"')
            self.assertIn("host name", str(refused.exception))
        self.assertEqual(sni_of("www.example.org", ["vpn.example"]), "www.example.org")
        for server, shown in (
            ("vpn.example:99", "vpn.example"),
            ("vpn.example", "vpn.example"),
            ("192.0.2.1:8443", ""),
        ):
            self.assertEqual(sni_of("", [server]), shown)
        self.assertEqual([sni_of("", []), sni_of("", ["[2001:db8::1]:8443"]), sni_of("", ["2001:db8::1"])], [""] * 3)
