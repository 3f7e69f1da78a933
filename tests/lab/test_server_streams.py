"""A client whose UDP does not pass reaches its server by TCP: one more path of the same session."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from tests.lab.case import LabCase, rest

# In the node `isp`: all UDP outside of the tunnel vanishes, or passes again.
UDP = """
import sys
from pyroute2 import IPRoute
with IPRoute() as ip:
    ip.rule(sys.argv[1], priority=10, ip_proto=17, action="blackhole")
"""


class BlockedTests(LabCase):
    """Two uplinks of 20 Mbit/s, 10 and 30 ms one way."""

    alone = True

    def open_anew(self) -> None:
        """No stream is left of another test."""
        self.until("UDP passes", lambda: [self.state_of(each) for each in ("wan0", "wan1")] == ["active"] * 2)
        for uplink, path in self.client.paths().items():
            if uplink.startswith("tcp "):
                self.client.ask({"ask": "cut", "path": path["path"]})
                self.client.ask({"ask": "restore", "path": path["path"]})
        self.both_active()

    @contextlib.contextmanager
    def blocked(self) -> Iterator[None]:
        """No UDP meanwhile."""
        isp = self.box.node("isp")
        for word in ("add", "del"):
            done = isp.run([sys.executable, "-c", UDP, word])
            self.assertEqual(done.returncode, 0, done.stderr)
            if word == "add":
                try:
                    yield
                except BaseException:
                    isp.run([sys.executable, "-c", UDP, "del"])
                    raise

    def stream_is(self) -> str:
        """State of the client's path by TCP; "" when there is none."""
        return next((state for uplink, state in self.client.states().items() if uplink.startswith("tcp ")), "")

    def test_from_the_start(self) -> None:
        """Without UDP the tunnel comes up by TCP and carries traffic both ways, and both ends show it."""
        self.client.stop()
        with self.blocked():
            self.client.start()
            self.until("the stream is active", lambda: self.stream_is() == "active", 8.0)
            self.breathes()
            self.assertNotIn("active", [self.state_of(uplink) for uplink in ("wan0", "wan1")])
            theirs = [path for path in self.server.session()["paths"] if path["uplink"] == "tcp"]
            self.assertEqual([path["state"] for path in theirs], ["active"])
            self.unbroken(self.fetch("--bytes", "2000000").wait())
        self.until("UDP is used again", lambda: "active" in (self.state_of("wan0"), self.state_of("wan1")), 10.0)

    def test_in_the_middle(self) -> None:
        """UDP that ends under a download harms it no more than UDP that comes back: every byte, and no packet lost."""
        ping, fetch = self.ping(), self.fetch()
        rest(1.5)
        with self.blocked():
            self.until("the stream is active", lambda: self.stream_is() == "active", 5.0)
            rest(2.0)
            before = self.client.paths()
        self.until("UDP is used again", lambda: self.state_of("wan0") == "active", 10.0)
        rest(2.0)
        self.unbroken(fetch.end())
        self.lost_at_most(ping.end(), 0)
        stream = next(path for name, path in before.items() if name.startswith("tcp "))
        self.assertGreater(stream["received_bytes"], 1 << 20)
