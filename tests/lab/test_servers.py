"""Two gateways of one network: the client has one of them, and the other one when it is gone."""

from __future__ import annotations

from functools import partial

from morphnet.lab.topologies import SERVER
from morphnet.lab.vpn import wait_for
from tests.lab.case import LabCase, Plan
from tests.lab.gateways import SECOND, second_gateway


class ServersTests(LabCase):
    """The client knows both, and had a session with the first."""

    rootless = False
    plan = Plan(client=(("dns", False),))

    def test_next(self) -> None:
        """When the gateway in use is killed the other one is used, and `status` says which one that is."""
        other = second_gateway(self.box, self.server)
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
