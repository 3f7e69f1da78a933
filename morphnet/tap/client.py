"""`twistd morph-client`: options, and what they start."""

from __future__ import annotations

from pathlib import Path

from twisted.application.service import IService
from twisted.internet import reactor

from morphnet.config.roles import ClientConfig
from morphnet.config.whole import NOT_JOINED
from morphnet.tap.options import Begin, ConfigOptions, options_for

_BEGIN = Begin(("server", "servers", "mesh.relays", "legacy", "mode"), NOT_JOINED)
Options = options_for(ClientConfig, Path("/etc/morphnet/client.toml"), _BEGIN)


def makeService(options: ConfigOptions[ClientConfig]) -> IService:
    """Open nothing yet: twistd may still fork. Of the three kinds of clients only the wanted one is loaded."""
    if options.config.mode == "balance":
        from morphnet.roles.balance.process import BalanceProcess

        return BalanceProcess(options.config, reactor, options.read)
    if options.config.legacy:
        from morphnet.roles.client.legacy import LegacyClientProcess

        return LegacyClientProcess(options.config, reactor, options.read)
    from morphnet.roles.client.process import ClientProcess

    return ClientProcess(options.config, reactor, options.read)
