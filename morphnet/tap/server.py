"""`twistd morph-server`: options, and what they start."""

from __future__ import annotations

from pathlib import Path

from twisted.application.service import IService
from twisted.internet import reactor

from morphnet.config.roles import ServerConfig
from morphnet.roles.server.process import ServerProcess
from morphnet.tap.options import Begin, ConfigOptions, options_for

_BEGIN = Begin(("name",), "no network was founded here: run `morphnet init`")
Options = options_for(ServerConfig, Path("/etc/morphnet/server.toml"), _BEGIN)


def makeService(options: ConfigOptions[ServerConfig]) -> IService:
    """Open nothing yet: twistd may still fork."""
    return ServerProcess(options.config, reactor, options.read)
