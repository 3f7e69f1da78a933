"""`twistd morph-home`: options, and what they start."""

from __future__ import annotations

from pathlib import Path

from twisted.application.service import IService
from twisted.internet import reactor

from morphnet.config.home import HomeConfig
from morphnet.roles.home.process import HomeProcess
from morphnet.tap.options import Begin, ConfigOptions, options_for

_BEGIN = Begin(("coordinator",), "run `morphnet home init` with the line that `morphnet coordinator invite` prints")
Options = options_for(HomeConfig, Path("/etc/morphnet/home.toml"), _BEGIN)


def makeService(options: ConfigOptions[HomeConfig]) -> IService:
    """Open nothing yet: twistd may still fork."""
    return HomeProcess(options.config, reactor, options.read)
