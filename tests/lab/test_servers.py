"""Two gateways of one network: the client has one of them, and the other one when it is gone."""

from __future__ import annotations

import shutil
from functools import partial

from morphnet.config.file import render
from morphnet.config.roles import ServerConfig
from morphnet.lab.topologies import SERVER
from morphnet.lab.vpn import Daemon, wait_for
from tests.lab.case import LabCase, Plan

SECOND = "203.0.113.254"  # at the isp


class ServersTests(LabCase):
    """The client knows both, and had a session with the first."""

    plan = Plan(client=(("dns", False),))

    def second(self) -> Daemon:
        """The other gateway: a certificate of its own, the first one's CA, and a copy of its records."""
        other = Daemon(self.box.node("isp"), "morph-server", "gw2", {})
        out = ["--address", SECOND, "--out", str(other.etc), "--dir", str(self.server.etc)]
        other.dir.mkdir()
        self.server.morphnet("pki", "relay", "gw2.example", *out)
        shutil.copy(self.server.etc / "pki" / "ca.key", other.etc / "pki")
        settings = {
            "name": "gw2.example",
            "listen": [SECOND],
            "pki_dir": str(other.etc / "pki"),
            "state_dir": str(other.etc / "state"),
            "run_dir": str(other.etc / "run"),
            "manhole": {"authorized_keys": str(other.etc / "authorized_keys")},
        }
        (other.etc / "state").mkdir()
        shutil.copy(self.server.etc / "state" / "morphnet.db", other.etc / "state")
        (other.etc / "server.toml").write_text(render(ServerConfig, settings))
        return other

    def test_next(self) -> None:
        """When the gateway in use is killed the other one is used, and `status` says which one that is."""
        other = self.second()
        self.client.stop()
        self.client.settings |= {"server": "", "server_name": "", "servers": [SERVER, SECOND]}
        self.client.start()
        self.until("a session with the first", partial(self.has_session_with, SERVER))
        other.start()
        try:
            for gone, new in ((self.server, SECOND), (other, SERVER)):
                gone.kill()
                wait_for(f"a session with {new}", partial(self.has_session_with, new), 20.0)
                self.until("it works", lambda: "active" in self.client.states().values())
                self.breathes()
                gone.start()
        finally:
            other.stop()

    def has_session_with(self, gateway: str) -> bool:
        """And with nobody else."""
        try:
            return [each["name"] for each in self.client.status()["sessions"]] == [gateway]
        except OSError:
            return False
