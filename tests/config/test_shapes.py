"""The setting `shape`."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.file import loads
from morphnet.config.roles import ClientConfig
from morphnet.config.shapes import SHAPES
from morphnet.errors import ConfigError


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
