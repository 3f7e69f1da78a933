"""
`twistd` for processes of ours: the same command line, and 8 MB less, see `morphnet.tap.lean`.

    python -P -m morphnet.tap.twistd --nodaemon morph-client

With -P nothing is imported from the directory that one happens to be in. Plugins of others are not looked for: where
Twisted may not write down what it has found it imports them all, at each start.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from morphnet.tap.lean import prepare

PLUGINS = "twisted.plugins.morphnet_plugins"


def ours(interface: Any) -> Iterator[Any]:
    """Our plugins."""
    return (each for each in vars(import_module(PLUGINS)).values() if interface.providedBy(each))


def run() -> None:
    """Until it ends."""
    prepare(digests="morph-client" in sys.argv)
    from twisted.application import app  # what is prepared must be so before it
    from twisted.scripts._twistd_unix import ServerOptions
    from twisted.scripts.twistd import runApp

    class Options(ServerOptions):
        """Twisted's."""

        _getPlugins: Any = staticmethod(ours)

    app.run(runApp, Options)


if __name__ == "__main__":
    run()
