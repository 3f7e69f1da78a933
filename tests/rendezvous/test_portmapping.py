"""The life story of a port at the router."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.rendezvous.portmapping import Mapping, Wish, mapping
from morphnet.wire.pcp import PMP_ADDRESS_REQUEST, MapRequest, encode_pcp, encode_pmp

WISH = Wish("192.168.1.2", 5000, bytes(12))
OUTSIDE = "198.51.100.2"


class FakeRouter:
    """Remembers what it was asked, by name."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.requests: list[bytes] = []
        self.on_ask: Callable[[bytes], None] = lambda request: None

    def ask(self, request: bytes) -> None:
        """Keep the request, note its protocol and what it is for, and let the test react by `on_ask`."""
        lifetime = request[8:12] if request[0] == 0 else request[4:8]
        word = "address" if request == PMP_ADDRESS_REQUEST else "map" if any(lifetime) else "give back"
        self.asked.append(f"{'pcp' if request[0] == 2 else 'pmp'} {word}")
        self.requests.append(request)
        self.on_ask(request)

    def done(self) -> None:
        self.asked.append("done")


class FakeListener:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def mapped(self, host: str, port: int) -> None:
        self.told.append(f"{host}:{port}")

    def unmapped(self, reason: str) -> None:
        self.told.append(reason)


INPUTS: dict[str, Callable[[Mapping], None]] = {
    "start": lambda link: link.start(),
    "granted": lambda link: link.granted(OUTSIDE, 6000, 1200),
    "addressed": lambda link: link.addressed(OUTSIDE),
    "given_back": lambda link: link.given_back(),
    "refused": lambda link: link.refused("no resources", 60.0),
    "unsupported": lambda link: link.unsupported(),
    "silence": lambda link: link.silence(),
    "wait_ended": lambda link: link.wait_ended(),
    "lapsed": lambda link: link.lapsed(),
    "restarted": lambda link: link.restarted(),
    "network_changed": lambda link: link.network_changed(),
    "stop": lambda link: link.stop(),
}
TO_PMP = ("start", "unsupported", "addressed")
WAYS: dict[str, tuple[str, ...]] = {
    "idle": (),
    "pcp": ("start",),
    "address": ("start", "unsupported"),
    "port": TO_PMP,
    "by_pcp": ("start", "granted"),
    "by_pmp": (*TO_PMP, "granted"),
    "resting": (*TO_PMP, "silence"),
    "leaving": ("start", "granted", "stop"),
    "stopped": ("start", "stop"),
}
HELD = [675.0, 1200.0]  # seconds to renewal and lapse
# state, input -> what the router is asked, what the listener is told, in how many seconds something happens after it
PROLONGED, SILENT, REFUSED = "the router did not prolong it", "no router answers", "no resources"
CHANGES: dict[tuple[str, str], tuple[list[str], list[str], list[float]]] = {
    ("idle", "start"): (["pcp map"], [], [3.0]),
    ("idle", "stop"): (["done"], [], []),
    ("pcp", "granted"): ([], [f"{OUTSIDE}:6000"], HELD),
    ("pcp", "refused"): ([], [REFUSED], [60.0]),
    ("pcp", "unsupported"): (["pmp address"], [], [0.25]),
    ("pcp", "silence"): (["pmp address"], [], [0.25]),
    ("pcp", "lapsed"): ([], [PROLONGED], [3.0]),
    ("pcp", "network_changed"): (["pcp map"], [], [3.0]),
    ("pcp", "stop"): (["pcp give back", "done"], [], []),
    ("address", "addressed"): (["pmp map"], [], [0.25]),
    ("address", "refused"): ([], [REFUSED], [60.0]),
    ("address", "silence"): ([], [SILENT], [600.0]),
    ("address", "lapsed"): ([], [PROLONGED], [0.25]),
    ("address", "network_changed"): (["pcp map"], [], [3.0]),
    ("address", "stop"): (["done"], [], []),
    ("port", "granted"): ([], [f"{OUTSIDE}:6000"], HELD),
    ("port", "refused"): ([], [REFUSED], [60.0]),
    ("port", "silence"): ([], [SILENT], [600.0]),
    ("port", "lapsed"): ([], [PROLONGED], [0.25]),
    ("port", "network_changed"): (["pcp map"], [], [3.0]),
    ("port", "stop"): (["pmp give back", "done"], [], []),
    ("by_pcp", "wait_ended"): (["pcp map"], [], [3.0, 1200.0]),
    ("by_pcp", "lapsed"): ([], [PROLONGED], [675.0]),
    ("by_pcp", "restarted"): (["pcp map"], [], [3.0, 1200.0]),
    ("by_pcp", "network_changed"): (["pcp map"], [], [3.0, 1200.0]),
    ("by_pcp", "stop"): (["pcp give back"], ["stopped"], [0.25]),
    ("by_pmp", "wait_ended"): (["pmp address"], [], [0.25, 1200.0]),
    ("by_pmp", "lapsed"): ([], [PROLONGED], [675.0]),
    ("by_pmp", "restarted"): (["pcp map"], [], [3.0, 1200.0]),
    ("by_pmp", "network_changed"): (["pcp map"], [], [3.0, 1200.0]),
    ("by_pmp", "stop"): (["pmp give back"], ["stopped"], [0.25]),
    ("resting", "wait_ended"): (["pcp map"], [], [3.0]),
    ("resting", "lapsed"): ([], [PROLONGED], [600.0]),
    ("resting", "restarted"): (["pcp map"], [], [3.0]),
    ("resting", "network_changed"): (["pcp map"], [], [3.0]),
    ("resting", "stop"): (["done"], [], []),
    ("leaving", "start"): (["pcp map"], [], [3.0]),
    ("leaving", "given_back"): (["done"], [], []),
    ("leaving", "refused"): (["done"], [], []),
    ("leaving", "unsupported"): (["done"], [], []),
    ("leaving", "silence"): (["done"], [], []),
    ("stopped", "start"): (["pcp map"], [], [3.0]),
}


class PortMappingTests(SynchronousTestCase):
    """A mapping with even chances: no jitter, but renewals at 9/16 of the lifetime."""

    def setUp(self) -> None:
        self.clock, self.chance = Clock(), 0.5
        self.link = self.make()

    def make(self) -> Mapping:
        """One that is not started, with a router and a listener of its own."""
        self.router, self.listener = FakeRouter(), FakeListener()
        return mapping(self.router, self.listener, self.clock, lambda: self.chance, WISH)

    def go(self, *steps: str) -> None:
        """These happen, one after the other; nothing before counts."""
        for step in steps:
            INPUTS[step](self.link)
            self.router.asked.clear()
            self.router.requests.clear()
            self.listener.told.clear()

    def waits(self) -> list[float]:
        """Seconds until each thing that is to come."""
        return sorted(round(call.getTime() - self.clock.seconds(), 3) for call in self.clock.getDelayedCalls())

    def test_matrix(self) -> None:
        """Every input in every state does what the table says, or nothing."""
        for state, way in WAYS.items():
            for name, happens in INPUTS.items():
                self.link = self.make()
                self.go(*way)
                before = self.waits()
                happens(self.link)
                seen = (self.router.asked, self.listener.told, self.waits())
                self.assertEqual(seen, CHANGES.get((state, name), ([], [], before)), (state, name))
                self.link.stop()
                self.link.silence()
                self.assertEqual(self.clock.getDelayedCalls(), [], (state, name))

    def test_pcp_first(self) -> None:
        """The first question is of PCP, with the same port outside as inside."""
        self.link.start()
        wanted = MapRequest("192.168.1.2", bytes(12), 17, 5000, 1200, outside_port=5000)
        self.assertEqual(self.router.requests, [encode_pcp(wanted)])

    def test_pcp_silent(self) -> None:
        """Two tries of PCP, nine of NAT-PMP as its RFC has them, then a rest of 600 s, and so on for ever."""
        self.link.start()
        for second, asked in ((2.9, 1), (3.1, 2), (8.9, 2)):
            self.clock.advance(second - self.clock.seconds())
            self.assertEqual(self.router.asked, ["pcp map"] * asked, second)
        self.clock.advance(0.2)
        at = list[float]()
        self.router.on_ask = lambda request: at.append(self.clock.seconds())
        for _ in range(1300):
            self.clock.advance(0.1)
        self.assertEqual(self.router.asked, ["pcp map"] * 2 + ["pmp address"] * 9)
        gaps = [round(later - earlier, 1) for earlier, later in pairwise(at)]
        for gap, exact in zip(gaps, (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0), strict=True):
            self.assertLess(abs(gap - exact), 0.25, gaps)
        self.assertEqual(self.listener.told, [SILENT])
        (rest,) = self.waits()
        self.assertGreater(rest, 590)
        self.clock.advance(rest + 0.01)
        self.assertEqual(self.router.asked[-1], "pcp map")

    def test_jitter(self) -> None:
        """Chance makes a wait a tenth longer or shorter, and a renewal later than half the lifetime, no sooner."""
        for chance, wait, renewal in ((0.0, 2.7, 600.0), (1.0, 3.3, 750.0)):
            self.chance = chance
            self.link = self.make()
            self.link.start()
            self.assertEqual(self.waits(), [wait])
            INPUTS["granted"](self.link)
            self.assertEqual(self.waits(), [renewal, 1200.0])
            self.go("stop", "given_back")

    def test_renewed(self) -> None:
        """A renewal asks for the address and port that we have; the listener is told only what differs."""
        self.chance = 0.0
        self.go("start", "granted")
        for port, told in ((6000, []), (6001, [f"{OUTSIDE}:6001"])):
            self.router.requests.clear()
            self.listener.told.clear()
            self.clock.advance(600)
            wanted = MapRequest("192.168.1.2", bytes(12), 17, 5000, 1200, OUTSIDE, 6000)
            self.assertEqual(self.router.requests, [encode_pcp(wanted)])
            self.link.granted(OUTSIDE, port, 1200)
            self.assertEqual(self.listener.told, told)

    def test_renewed_by_pmp(self) -> None:
        """What NAT-PMP gave is renewed by NAT-PMP, and the address asked for again."""
        self.go(*TO_PMP, "granted")
        self.clock.advance(675)
        self.link.addressed("198.51.100.3")
        self.link.granted("", 6000, 1200)
        self.assertEqual(self.router.asked, ["pmp address", "pmp map"])
        self.assertEqual(self.listener.told, ["198.51.100.3:6000"])
        self.assertEqual(self.router.requests[1], encode_pmp(MapRequest("", b"", 17, 5000, 1200, "0.0.0.0", 6000)))

    def test_long_and_short_lives(self) -> None:
        """A mapping for ever is renewed as soon as one for as long as we wished; a very short one not at once."""
        for lifetime, waits in ((2**32 - 1, [675.0, 86400.0]), (2, [2.0, 4.0])):
            self.link = self.make()
            self.link.start()
            self.link.granted(OUTSIDE, 6000, lifetime)
            self.assertEqual(self.waits(), waits)
            self.go("stop", "given_back")

    def test_not_renewed(self) -> None:
        """A router that falls silent is asked ever sooner until the mapping lapses, and that is told then."""
        self.go("start", "granted")
        for _ in range(1199):
            self.clock.advance(1)
        self.assertEqual(self.listener.told, [])
        asked = len(self.router.asked)
        self.assertTrue(10 < asked < 100, asked)
        self.clock.advance(1)
        self.assertEqual(self.listener.told, [PROLONGED])
        for _ in range(400):
            self.clock.advance(1)
        self.assertEqual(self.listener.told, [PROLONGED, SILENT])

    def test_renewal_refused(self) -> None:
        """What we hold works on after a refusal, until it lapses."""
        self.go("start", "granted", "wait_ended", "refused")
        self.assertEqual(self.waits(), [600.0, 1200.0])
        self.clock.advance(600)
        self.assertEqual((self.router.asked, self.listener.told), (["pcp map"], []))

    def test_network_changed(self) -> None:
        """After a change of the network nobody relies on what another router gave."""
        for way, told in ((("granted",), []), (("refused",), [REFUSED]), (("unsupported", "silence"), [SILENT])):
            self.link = self.make()
            self.go("start", "granted", "network_changed")
            for step in way:
                INPUTS[step](self.link)
            self.assertEqual(self.listener.told, told)
            self.link.stop()
            self.link.silence()

    def test_restarted(self) -> None:
        """A router that lost its mappings is asked at once; the mapping made anew is told only when it differs."""
        self.go("start", "granted")
        self.link.restarted()
        self.assertEqual(self.router.asked, ["pcp map"])
        self.link.granted(OUTSIDE, 6000, 1200)
        self.go("wait_ended")
        self.link.restarted()
        INPUTS["refused"](self.link)
        self.assertEqual(self.listener.told, [REFUSED])

    def test_given_back(self) -> None:
        """Given back with lifetime 0, three times when the router does not say yes."""
        self.go(*WAYS["leaving"][:-1])
        self.link.stop()
        self.assertEqual(self.router.requests, [encode_pcp(MapRequest("192.168.1.2", bytes(12), 17, 5000, 0))])
        for _ in range(20):
            self.clock.advance(0.1)
        self.assertEqual(self.router.asked, ["pcp give back"] * 3 + ["done"])
        self.assertEqual(self.listener.told, ["stopped"])

    def test_answers_at_once(self) -> None:
        """A router that answers before `ask` returns is just a fast one."""
        self.router.on_ask = lambda request: self.link.granted(OUTSIDE, 6000, 1200)
        self.link.start()
        self.assertEqual(self.listener.told, [f"{OUTSIDE}:6000"])
        self.router.on_ask = lambda request: self.link.given_back()
        self.link.stop()
        self.assertEqual(self.router.asked, ["pcp map", "pcp give back", "done"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
