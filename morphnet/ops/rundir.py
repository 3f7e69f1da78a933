"""Names of what a process leaves in its run_dir and its state_dir, for those who look for it."""

from __future__ import annotations

import os
from pathlib import Path

# in run_dir
FEED = "feed.sock"  # JSON lines
MANHOLE = "manhole.sock"  # SSH
SSH_CONFIG = "manhole.ssh_config"  # ssh -F it, and go to SSH_ALIAS
KNOWN_HOSTS = "manhole.known_hosts"
SSH_ALIAS = "morphnet"
CONSOLE_KEY = "console_ed25519"  # the local operator's, for MANHOLE
USER = "morph"  # the only name that may enter there

# in state_dir
JOURNAL = "host-journal"  # what must be undone on this host; a lock of the same name and ".lock" besides
HOST_KEY = "manhole_ed25519"
REVOKED = "revoked.pem"
REVOKED_SERVER = "revoked-server.pem"  # the same of a server

_LONGEST = 107  # bytes of a unix socket's path, sockaddr_un less its NUL


def is_too_long(path: Path) -> bool:
    """Whether no unix socket can be there, and so nobody who serves one."""
    return len(os.fsencode(path)) > _LONGEST
