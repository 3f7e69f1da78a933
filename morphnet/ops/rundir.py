"""Names of what a running process leaves in its run_dir, for those who look for it."""

from __future__ import annotations

import os
from pathlib import Path

FEED = "feed.sock"  # JSON lines
MANHOLE = "manhole.sock"  # SSH
SSH_CONFIG = "manhole.ssh_config"  # ssh -F it, and go to SSH_ALIAS
KNOWN_HOSTS = "manhole.known_hosts"
SSH_ALIAS = "morphnet"
CONSOLE_KEY = "console_ed25519"  # the local operator's, for MANHOLE
USER = "morph"  # the only name that may enter there

_LONGEST = 107  # bytes of a unix socket's path, sockaddr_un less its NUL


def is_too_long(path: Path) -> bool:
    """Whether no unix socket can be there, and so nobody who serves one."""
    return len(os.fsencode(path)) > _LONGEST
