"""`twistd morph-client`: options, and what they start."""

from __future__ import annotations

from pathlib import Path

from twisted.application.service import IService
from twisted.internet import reactor

from morphnet.config.roles import ClientConfig
from morphnet.roles.client.process import ClientProcess
from morphnet.tap.options import ConfigOptions, options_for

Options = options_for(ClientConfig, Path("/etc/morphnet/client.toml"))


def makeService(options: ConfigOptions[ClientConfig]) -> IService:
    """Open nothing yet: twistd may still fork."""
    return ClientProcess(options.config, reactor, options.read)
