"""A ladder for each uplink, and what it remembers."""

from __future__ import annotations

import os
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from morphnet.rendezvous.ladder import HOLD_OFF, SEARCH, SETTLE, STAGGER, Seen
from morphnet.roles.client.ladders import Ladders, Rung
from morphnet.status import UplinkStatus
from morphnet.wire.shapes.masked import Masked
from tests.roles.client.test_uplink_paths import LTE, WAN

MASKED = Masked(bytes(32), os.urandom)


class Book:
    """Remembers as long as a test lasts."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def recall(self, network: str) -> str:
        return self.known.get(network, "")

    def keep(self, network: str, shape: str) -> None:
        self.known[network] = shape


class LaddersTests(SynchronousTestCase):
    def setUp(self) -> None:
        """:ivar passes: the shapes that get through on `wan`."""
        self.now, self.told, self.book = 100.0, list[str](), Book()
        self.passes = {"plain", "masked"}
        self.since: dict[Rung, Seen] = {}
        self.ladders = self.make()

    def make(self) -> Ladders:
        """As after a start."""
        ladders = Ladders(lambda: self.now, lambda kind, text: self.told.append(text), self.book)
        ladders.uplinks_are([WAN, LTE])
        ladders.climb({"plain": None, "masked": MASKED})
        return ladders

    def run_for(self, seconds: float) -> list[Rung]:
        """Let time pass: what is open on `wan` then."""
        for _ in range(round(seconds / 0.1)):
            self.now += 0.1
            seen = {}
            for rung in (*self.ladders.open_on("wan"), *self.ladders.open_on("lte")):
                works = rung.uplink == "lte" or rung.shape in self.passes
                before = self.since.get(rung, Seen(not works, 0.0))
                seen[rung] = before if before.works is works else Seen(works, self.now)
            self.since = seen
            self.ladders.look(seen, otherwise=False)
        return self.ladders.open_on("wan")

    def shapes(self, seconds: float) -> list[str]:
        """The same, shapes only."""
        return sorted(rung.shape for rung in self.run_for(seconds))

    def test_not_wanted(self) -> None:
        """Where nothing is to be found out each uplink has one path, which wears what all of them do."""
        self.ladders.climb({})
        self.assertTrue(self.ladders.look({}, otherwise=False))
        self.assertEqual(self.ladders.open_on("wan"), [Rung("wan")])
        self.assertIsNone(self.ladders.shape(Rung("wan")))
        self.assertFalse(self.ladders.look({}, otherwise=False))

    def test_closed(self) -> None:
        """Where nothing shall go by UDP no uplink has a path, until that is wished for again."""
        self.ladders.climb({})
        self.ladders.look({}, otherwise=False)
        for closed, open_ones in ((True, []), (False, [Rung("wan")])):
            self.ladders.close(closed)
            self.assertTrue(self.ladders.look({}, otherwise=False))
            self.assertEqual(self.ladders.open_on("wan"), open_ones)
            self.ladders.close(closed)
            self.assertFalse(self.ladders.look({}, otherwise=False))

    def test_each_for_itself(self) -> None:
        """What one uplink stops says nothing of the other; the shape of each path is its rung's."""
        self.passes = {"masked"}
        (rung,) = self.run_for(STAGGER + SETTLE + 1.0)
        self.assertIs(self.ladders.shape(rung), MASKED)
        self.assertEqual([each.shape for each in self.ladders.open_on("lte")], ["plain"])
        self.assertEqual(self.book.known, {"wan 192.168.1.1 fe80::1": "masked", "lte - -": "plain"})
        self.assertIn("wan: what goes to the server is masked", " ".join(self.told))

    def test_remembered(self) -> None:
        """The next process begins with what was in use on that network, on another one at the top."""
        self.passes = {"masked"}
        self.run_for(STAGGER + SETTLE + 1.0)
        self.ladders = self.make()
        self.assertEqual(self.shapes(0.0), ["masked"])
        self.ladders.uplinks_are([replace(WAN, gateway4="192.168.7.1")])
        self.assertEqual(self.shapes(0.0), ["plain"])

    def test_network_changed(self) -> None:
        """An uplink that was away, or has another gateway, begins anew: cheaper ones are tried at once."""
        self.passes = {"masked"}
        self.run_for(STAGGER + SETTLE + 1.0)
        self.passes = {"plain", "masked"}
        self.assertEqual(self.shapes(5.0), ["masked"])
        self.ladders.uplinks_are([LTE])
        self.ladders.uplinks_are([WAN, LTE])
        self.assertEqual(self.shapes(2.0), ["plain"])
        rung = self.ladders.open_on("wan")
        self.ladders.uplinks_are([replace(WAN, mtu=1400), LTE])
        self.assertEqual(self.ladders.open_on("wan"), rung)

    def test_shown(self) -> None:
        """What gets through is in the status of the uplink; where nothing does, that is told once."""
        status = (UplinkStatus("wan", "up", 0.0, ""),)
        self.assertEqual(self.ladders.shown(status)[0].shape, "")
        self.run_for(1.0)
        self.assertEqual(self.ladders.shown(status)[0].shape, "plain")
        self.passes = set()
        self.run_for(HOLD_OFF + 2 * SEARCH)
        self.assertEqual(self.ladders.shown(status)[0].shape, "none")
        self.assertEqual(len([text for text in self.told if "nothing gets through" in text]), 1)
        self.assertEqual(self.book.known["wan 192.168.1.1 fe80::1"], "plain")
