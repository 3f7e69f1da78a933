"""Where the manhole listens."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.manhole import ManholeConfig
from morphnet.errors import ConfigError


class AddressTests(SynchronousTestCase):
    def test_address(self) -> None:
        """A unix socket alone, or TCP at one address besides; never every network."""
        self.assertIsNone(ManholeConfig().address())
        self.assertEqual(ManholeConfig(listen="127.0.0.1:2222").address(), ("127.0.0.1", 2222))
        for wrong in ("here", "0.0.0.0:22", "[::]:22"):
            self.assertRaises(ConfigError, ManholeConfig(listen=wrong).address)
