"""Settings of a client that balances."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.balance import Pinned, policy, weights_of
from morphnet.config.file import load
from morphnet.config.roles import ClientConfig
from morphnet.errors import ConfigError


class BalanceConfigTests(SynchronousTestCase):
    def load(self, text: str) -> ClientConfig:
        """From a file."""
        path = Path(self.mktemp())
        path.write_text(text)
        return load(ClientConfig, path, {})

    def test_file(self) -> None:
        """The mode is enough; it needs no server, and has none."""
        self.assertEqual(self.load('mode = "balance"').balance.methods, ("ping", "dns", "tcp"))
        with self.assertRaisesRegex(ConfigError, "stands alone"):
            self.load('mode = "balance"\nserver = "gw.example"')
        with self.assertRaisesRegex(ConfigError, "mode"):
            self.load('mode = "balanced"')

    def test_enough(self) -> None:
        """One target, in a family or in all, or one method, is not enough."""
        for wrong in ('targets = ["1.1.1.1"]', 'targets = ["1.1.1.1", "9.9.9.9", "2620:fe::fe"]', "targets = []"):
            with self.assertRaisesRegex(ConfigError, "targets"):
                self.load(f'mode = "balance"\n[balance]\n{wrong}')
        for wrong in ('methods = ["ping"]', 'methods = ["ping", "ping"]', 'methods = ["ping", "smoke"]'):
            with self.assertRaisesRegex(ConfigError, "methods"):
                self.load(f'mode = "balance"\n[balance]\n{wrong}')

    def test_policies(self) -> None:
        """A policy names what, and an uplink."""
        self.assertEqual(policy("to:10.9.1.2/16=wan1"), Pinned("to", "10.9.0.0/16", "wan1"))
        self.assertEqual(policy("from:fd00::/8=wan1"), Pinned("from", "fd00::/8", "wan1"))
        self.assertEqual(policy("tcp:025=wan1"), Pinned("tcp", "25", "wan1"))
        self.assertEqual(policy("user:backup=wan1"), Pinned("user", "backup", "wan1"))
        for wrong in (
            "",
            "wan1",
            "to:=wan1",
            "to:x=wan1",
            "tcp:0=wan1",
            "tcp:99999=w",
            "udp:٣=w",
            "user:a b=w",
            "tcp:1=",
        ):
            self.assertRaises(ConfigError, policy, wrong)
        with self.assertRaisesRegex(ConfigError, "two uplinks"):
            self.load('mode = "balance"\n[balance]\npolicies = ["tcp:25=wan0", "tcp:25=wan1"]')

    def test_weights(self) -> None:
        """Parts from 1 to 100, each uplink once."""
        self.assertEqual(weights_of(("wan0=3", "wan1=1")), {"wan0": 3, "wan1": 1})
        for wrong in (("wan0",), ("wan0=0",), ("wan0=101",), ("wan0=x",), ("wan0=1", "wan0=2"), ("=1",)):
            self.assertRaises(ConfigError, weights_of, wrong)
