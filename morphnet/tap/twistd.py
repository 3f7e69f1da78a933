"""
`twistd` for processes of ours: the same command line, and 8 MB less, see `morphnet.tap.lean`.

    python -P -m morphnet.tap.twistd --nodaemon morph-client

With -P nothing is imported from the directory that one happens to be in.
"""

from __future__ import annotations

import sys

from morphnet.tap.lean import prepare


def run() -> None:
    """Until it ends."""
    prepare(digests="morph-client" in sys.argv)
    from twisted.scripts.twistd import run as twistd  # what is prepared must be so before it

    twistd()


if __name__ == "__main__":
    run()
