"""`twistd morph-coordinator`: options, and what they start."""

from __future__ import annotations

from pathlib import Path

from twisted.application.service import IService
from twisted.internet import reactor

from morphnet.config.home import CoordinatorConfig
from morphnet.roles.coordinator.process import CoordinatorProcess
from morphnet.tap.options import Begin, ConfigOptions, options_for

_BEGIN = Begin(("certificate", "plain"), "run `morphnet coordinator init`")
Options = options_for(CoordinatorConfig, Path("/etc/morphnet/coordinator.toml"), _BEGIN)


def makeService(options: ConfigOptions[CoordinatorConfig]) -> IService:
    """Open nothing yet: twistd may still fork."""
    return CoordinatorProcess(options.config, reactor, options.read)
