"""Settings for the original HomeChannel."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.file import loads
from morphnet.config.home import CoordinatorConfig
from morphnet.errors import ConfigError


class HomeChannelConfigTests(SynchronousTestCase):
    def test_off(self) -> None:
        """It is off unless switched on."""
        self.assertFalse(loads(CoordinatorConfig, "", None, {}).legacy.homechannel.enabled)
        text = f'[legacy.homechannel]\nenabled = true\nhomes = ["{"A" * 60}"]'
        self.assertTrue(loads(CoordinatorConfig, text, Path("x")).legacy.homechannel.enabled)

    def test_homes(self) -> None:
        """What is no key is refused."""
        self.assertRaises(ConfigError, loads, CoordinatorConfig, '[legacy.homechannel]\nhomes = ["x"]', Path("x"))
