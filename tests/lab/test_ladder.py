"""A client with `shape = "auto"`, and censors on its way to the server."""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from unittest import SkipTest

from morphnet.lab.topologies import SERVER, two_uplinks
from tests.lab.case import Plan, rest
from tests.lab.censors import (
    FREEZES,
    KNOWN_BYTES,
    ONLY_443,
    ONLY_QUIC,
    WITHOUT_UDP,
    censored,
    censored_by_name,
    censored_by_ndpi,
    dropped,
)
from tests.lab.test_shapes import DATA, STRANGER, Watched

TUNNEL_WITHIN, WITHOUT_UDP_WITHIN = 5.0, 3.0  # seconds from the first word with the server
RETRY = 2.0  # seconds, in the place of ten minutes
NAME = "www.example.org"  # that `quic` shows
UP = "the top of the ladder"


class LadderCase(Watched):
    """One uplink of 20 Mbit/s, 10 ms one way; a gateway by two ports."""

    alone = True
    plan = Plan(
        lambda: two_uplinks((0.010,), (20e6,)),
        client=(
            ("shape", "auto"),
            ("shape-retry-s", RETRY),
            ("shape-sni", NAME),
            ("server", ""),
            ("server-name", ""),
            ("servers", (SERVER, f"{SERVER}:443")),
        ),
        server=(("stream-port", 443),),
    )

    def open_anew(self) -> None:
        """All is plain again."""
        self.until(UP, lambda: self.in_use() == {"plain"}, 30.0)

    def in_use(self) -> set[str]:
        """What the client's working paths look like: a stream is one of them only where nothing else works."""
        active = [path for path in self.client.session()["paths"] if path["state"] == "active"]
        by_udp = {path["shape"] for path in active if path["uplink"] == "wan0"}
        return by_udp or {"stream" for path in active if path["uplink"].startswith("tcp ")}

    def until_used(self, *shapes: str) -> None:
        """These are in use, in the end."""
        self.until(f"what is used is {shapes}", lambda: self.in_use() == set(shapes))

    def opened_after(self) -> float:
        """Seconds from the first word with the server to a path that works."""
        told = self.client.happenings()
        begun = next(each["at"] for each in told if each["kind"] == "control-up")
        return float(next(each["at"] for each in told if each["kind"] == "path-active") - begun)


class CensorTests(LadderCase):
    def gets_through(self, rules: tuple[str, ...], within: float, *ends: str) -> None:
        """These rules of a censor, see `passes`."""
        self.passes(lambda: censored(self.box, rules), within, *ends)

    def passes(self, censor: Callable[[], AbstractContextManager[None]], within: float, *ends: str) -> None:
        """
        From the start; again when it begins in the middle; and all is as before when it ends: no packet is lost.

        :param ends: what is in use meanwhile, in the end.
        """
        self.client.stop()
        with censor():
            self.client.start()
            self.until("a path works", lambda: self.in_use() != set())
            self.assertLess(self.opened_after(), within)
            ping = self.ping()
            self.unbroken(self.fetch("--bytes", "400000").wait())
            self.until_used(*ends)
            self.assertGreater(dropped(self.box), 0)
        self.until(UP, lambda: self.in_use() == {"plain"}, 6 * RETRY)
        with censor():
            self.until_used(*ends)
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
        self.gets_through(ONLY_QUIC, TUNNEL_WITHIN, "quic")

    def test_unknown_to_ndpi(self) -> None:
        """Whatever nDPI does not know is dropped, once it has looked: quic passes."""
        if shutil.which("ndpiReader") is None:
            raise SkipTest("no ndpiReader here")
        self.passes(lambda: censored_by_ndpi(self.box), TUNNEL_WITHIN, "quic")

    def test_forbidden_name(self) -> None:
        """QUIC alone passes, and not with our name: each flow ends when that was read, and the stream carries it."""
        self.passes(lambda: censored_by_name(self.box, NAME), TUNNEL_WITHIN, "stream")

    def test_other_name(self) -> None:
        """The same one who has other names on his list: it is quic."""
        with censored_by_name(self.box, "other.example.org"):
            self.until_used("quic")
            self.breathes()
            self.assertGreater(dropped(self.box), 0)
        self.until_used("plain")

    def test_freezes(self) -> None:
        """Each flow ends after 20 KB, unless it is TLS: it is no use that a shape passes at first."""
        self.gets_through(FREEZES, TUNNEL_WITHIN, "stream")

    def test_only_443(self) -> None:
        """Nothing passes but TCP to port 443: the control link comes by it as well."""
        self.client.stop()
        with censored(self.box, ONLY_443):
            self.client.start()
            self.until_used("stream")
            self.breathes()
            self.assertGreater(dropped(self.box), 0)
        self.until_used("plain")
        self.breathes()


class ProberTests(LadderCase):
    def test_replays(self) -> None:
        """Who sends again what he saw, of either shape, whole and in pieces, gets no byte and moves nothing."""
        ping = self.ping()
        self.capture()
        with censored(self.box, KNOWN_BYTES):
            self.until_used("masked")
        self.until_used("plain")
        rest(0.5)
        chance = random.Random(8)
        seen = chance.sample([each.payload for each in self.seen() if each.target == DATA], 200)
        words = [*seen, *(each[: chance.randrange(1, len(each))] for each in seen)]
        lines = "".join(f"{each.hex()}\n" for each in words)
        where = {path["path"]: path["remote"] for path in self.server.session()["paths"]}
        said = self.box.node("isp").run([sys.executable, "-c", STRANGER, *map(str, DATA)], input=lines)
        self.assertEqual(json.loads(said.stdout), {"sent": 400, "answers": 0})
        after = {path["path"]: path["remote"] for path in self.server.session()["paths"]}
        self.assertEqual(after, where)
        self.lost_at_most(ping.end(), 0)
