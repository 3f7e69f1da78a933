"""A further relay for a network."""

from __future__ import annotations

from morphnet.config.file import load
from morphnet.config.roles import RelayConfig
from tests.cli.case import CommandCase


class RelayTests(CommandCase):
    def test_copied(self) -> None:
        """Its directory works wherever it is copied to."""
        self.init()
        made, copied = self.place.root / "meet2", self.place.root / "elsewhere"
        said = self.good("pki", "relay", "meet2", "--address", "192.0.2.7", "--out", str(made)).stdout
        self.assertIn("morphnet up relay --dir DIRECTORY", said)
        made.rename(copied)
        config = load(RelayConfig, copied / "relay.toml")
        self.assertEqual((config.pki_dir, config.state_dir), (copied / "pki", copied / "state"))
        self.assertEqual(config.run_dir, copied / "run-relay")
        self.assertEqual(config.manhole.authorized_keys, copied / "authorized_keys")
        self.assertTrue((config.pki_dir / "meet2.key").exists())
