"""One more gateway of a network."""

from __future__ import annotations

import shutil

from morphnet.config.file import render
from morphnet.config.roles import ServerConfig
from morphnet.lab.box import Box
from morphnet.lab.vpn import Daemon

SECOND = "203.0.113.254"  # at the isp


def second_gateway(box: Box, first: Daemon, **more: object) -> Daemon:
    """
    A certificate of its own, the first one's CA, and a copy of its records; it is not started.

    :param more: settings.
    """
    other = Daemon(box.node("isp"), "morph-server", "gw2", {})
    out = ["--address", SECOND, "--out", str(other.etc), "--dir", str(first.etc)]
    other.dir.mkdir()
    first.morphnet("pki", "relay", "gw2.example", *out)
    shutil.copy(first.etc / "pki" / "ca.key", other.etc / "pki")
    settings = {
        "name": "gw2.example",
        "listen": [SECOND],
        "pki_dir": str(other.etc / "pki"),
        "state_dir": str(other.etc / "state"),
        "run_dir": str(other.etc / "run"),
        "manhole": {"authorized_keys": str(other.etc / "authorized_keys")},
        **more,
    }
    (other.etc / "state").mkdir()
    shutil.copy(first.etc / "state" / "morphnet.db", other.etc / "state")
    (other.etc / "server.toml").write_text(render(ServerConfig, settings))
    return other
