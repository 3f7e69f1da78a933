"""`twistd morph-client`: options, and what they start."""

from __future__ import annotations

from pathlib import Path

from twisted.application.service import IService
from twisted.internet import reactor

from morphnet.config.roles import ClientConfig
from morphnet.config.whole import NOT_JOINED
from morphnet.roles.balance.process import BalanceProcess
from morphnet.roles.client.legacy import LegacyClientProcess
from morphnet.roles.client.process import ClientProcess
from morphnet.tap.options import Begin, ConfigOptions, options_for

_BEGIN = Begin(("server", "servers", "mesh.relays", "legacy", "mode"), NOT_JOINED)
Options = options_for(ClientConfig, Path("/etc/morphnet/client.toml"), _BEGIN)


def makeService(options: ConfigOptions[ClientConfig]) -> IService:
    """Open nothing yet: twistd may still fork."""
    if options.config.mode == "balance":
        return BalanceProcess(options.config, reactor, options.read)
    if options.config.legacy:
        return LegacyClientProcess(options.config, reactor, options.read)
    return ClientProcess(options.config, reactor, options.read)
