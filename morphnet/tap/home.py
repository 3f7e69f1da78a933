"""`twistd morph-home`: options, and what they start. WebRTC needs asyncio, so that this process runs on its reactor."""

from __future__ import annotations

import sys
from pathlib import Path

from twisted.internet import asyncioreactor

from morphnet.net.rtc import make_loop

if "twisted.internet.reactor" not in sys.modules:  # twistd was not told to use another one
    asyncioreactor.install(make_loop())

from twisted.application.service import IService
from twisted.internet import reactor

from morphnet.config.home import HomeConfig
from morphnet.roles.home.process import HomeProcess
from morphnet.tap.options import Begin, ConfigOptions, options_for

_BEGIN = Begin(("coordinator",), "run `morphnet home init` with the line that `morphnet coordinator invite` prints")
Options = options_for(HomeConfig, Path("/etc/morphnet/home.toml"), _BEGIN)


def makeService(options: ConfigOptions[HomeConfig]) -> IService:
    """
    Open nothing yet: twistd may still fork.

    :raises SystemExit: twistd was told to use another reactor.
    """
    if not isinstance(reactor, asyncioreactor.AsyncioSelectorReactor):
        raise SystemExit("morphnet: morph-home needs the reactor asyncio: leave --reactor away")
    return HomeProcess(options.config, reactor, options.read)
