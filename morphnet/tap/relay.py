"""`twistd morph-relay`: options, and what they start."""

from __future__ import annotations

from pathlib import Path

from twisted.application.service import IService
from twisted.internet import reactor

from morphnet.config.roles import RelayConfig
from morphnet.roles.relay.process import RelayProcess
from morphnet.tap.options import Begin, ConfigOptions, options_for

_BEGIN = Begin(
    ("name",), "`morphnet pki relay NAME --out DIR` on the server makes all that a relay needs, copy it here"
)
Options = options_for(RelayConfig, Path("/etc/morphnet/relay.toml"), _BEGIN)


def makeService(options: ConfigOptions[RelayConfig]) -> IService:
    """Open nothing yet: twistd may still fork."""
    return RelayProcess(options.config, reactor, options.read)
