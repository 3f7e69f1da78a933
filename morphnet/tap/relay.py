"""`twistd morph-relay`: options, and what they start."""

from __future__ import annotations

from pathlib import Path

from twisted.application.service import IService
from twisted.internet import reactor

from morphnet.config.roles import RelayConfig
from morphnet.roles.relay.process import RelayProcess
from morphnet.tap.options import ConfigOptions, options_for

Options = options_for(RelayConfig, Path("/etc/morphnet/relay.toml"))


def makeService(options: ConfigOptions[RelayConfig]) -> IService:
    """Open nothing yet: twistd may still fork."""
    return RelayProcess(options.config, reactor, options.read)
