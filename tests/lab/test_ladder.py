"""A client with `shape = "auto"`, and censors on its way to the server."""

from __future__ import annotations

from morphnet.lab.topologies import two_uplinks
from tests.lab.case import LabCase, Plan, rest
from tests.lab.censors import FREEZES, KNOWN_BYTES, ONLY_QUIC, WITHOUT_UDP, censored, dropped

TUNNEL_WITHIN, WITHOUT_UDP_WITHIN = 5.0, 3.0  # seconds from the first word with the server
RETRY = 3.0  # seconds, in the place of ten minutes
UP = "the top of the ladder"


class LadderTests(LabCase):
    """One uplink of 20 Mbit/s, 10 ms one way."""

    alone = True
    rootless = False
    plan = Plan(lambda: two_uplinks((0.010,), (20e6,)), client=(("shape", "auto"), ("shape-retry-s", RETRY)))

    def open_anew(self) -> None:
        """All is plain again."""
        self.until(UP, lambda: self.in_use() == {"plain"}, 30.0)

    def in_use(self) -> set[str]:
        """What the client's working paths look like: a stream is one of them only where nothing else works."""
        active = [path for path in self.client.session()["paths"] if path["state"] == "active"]
        by_udp = {path["shape"] for path in active if path["uplink"] == "wan0"}
        return by_udp or {"stream" for path in active if path["uplink"].startswith("tcp ")}

    def opened_after(self) -> float:
        """Seconds from the first word with the server to a path that works."""
        told = self.client.happenings()
        begun = next(each["at"] for each in told if each["kind"] == "control-up")
        return float(next(each["at"] for each in told if each["kind"] == "path-active") - begun)

    def gets_through(self, rules: tuple[str, ...], within: float, *ends: str) -> None:
        """
        From the start; again when it begins in the middle; and all is as before when it ends: no packet is lost.

        :param ends: what is in use meanwhile, in the end.
        """
        self.client.stop()
        with censored(self.box, rules):
            self.client.start()
            self.until("a path works", lambda: self.in_use() != set())
            self.assertLess(self.opened_after(), within)
            ping = self.ping()
            self.unbroken(self.fetch("--bytes", "400000").wait())
            self.until(f"what is used is {ends}", lambda: self.in_use() == set(ends), 12.0)
            self.assertGreater(dropped(self.box), 0)
        self.until(UP, lambda: self.in_use() == {"plain"}, 6 * RETRY)
        with censored(self.box, rules):
            self.until(f"what is used is {ends} again", lambda: self.in_use() == set(ends), 20.0)
            fetch = self.fetch("--bytes", "400000")
        self.until(UP, lambda: self.in_use() == {"plain"}, 6 * RETRY)
        self.unbroken(fetch.wait())
        rest(1.0)
        self.lost_at_most(ping.end(), 0)

    def test_without_udp(self) -> None:
        """UDP is dropped but for port 53: the stream carries it."""
        self.gets_through(WITHOUT_UDP, WITHOUT_UDP_WITHIN, "stream")

    def test_known_bytes(self) -> None:
        """Our plain framing is dropped, and WireGuard: masked passes."""
        self.gets_through(KNOWN_BYTES, TUNNEL_WITHIN, "masked")

    def test_only_quic(self) -> None:
        """Whatever does not begin as QUIC is dropped."""
        self.gets_through(ONLY_QUIC, TUNNEL_WITHIN, "stream")

    def test_freezes(self) -> None:
        """Each flow ends after 20 KB, unless it is TLS: it is no use that a shape passes at first."""
        self.gets_through(FREEZES, TUNNEL_WITHIN, "stream")
