"""Peers that reach each other by TCP, where UDP does not pass."""

from __future__ import annotations

from morphnet.lab.homes import Home
from tests.lab.case import rest
from tests.lab.village import Place, VillageCase

PAIRS = ("anna", "bert"), ("bert", "anna")
DROP = "[each.drop('a test') for each in node.mesh.streams.port.streams.values() if each is not None]"


class OpenTests(VillageCase):
    """One home that lets no UDP through, and one without a router in the way."""

    rootless = False  # nothing of it depends on who one is
    place = Place((Home("udp_blocked"), Home("none")))

    def test_direct(self) -> None:
        """They are direct, by TCP, as both ends say, and the relay has nothing to do."""
        self.until("they are direct", lambda: self.all_are("direct"))
        for at, of in PAIRS:
            self.assertRegex(self.meeting.peer(at, of)["remote"], r"^tcp [0-9.]+:[0-9]+$")
        rest(0.5)
        before = self.forwarded()
        self.assertEqual(self.ping("--count", "50", "--interval", "0.02").wait()["lost"], 0)
        self.assertLess(self.forwarded() - before, 2000)

    def test_download(self) -> None:
        """A download arrives unharmed, and not through the relay."""
        self.until("they are direct", lambda: self.all_are("direct"))
        rest(0.5)
        before, fetch = self.forwarded(), self.fetch()
        rest(5.0)
        final = fetch.end()
        self.unbroken(final)
        self.assertGreater(final["bytes"], 1 << 20)
        self.assertLess(self.forwarded() - before, final["bytes"] // 10)

    def test_cut(self) -> None:
        """A router that swallows the stream costs no packet and harms no download: the relay carries on."""
        self.until("they are direct", lambda: self.all_are("direct"))
        ping, fetch = self.ping(), self.fetch()
        rest(2.0)
        with self.router("nat0", "web_only"):
            self.until("the relay carries on", lambda: self.all_are("relay"), 5.0)
            rest(4.0)
            self.unbroken(fetch.end())
            final = ping.end()
            self.none_lost(final)
            self.assertLess(final["longest_gap_ms"], 1000)
        self.until_again()

    def test_ended(self) -> None:
        """A stream that is ended is there again within seconds, without anybody's asking, and nothing is lost."""
        self.until("they are direct", lambda: self.all_are("direct"))
        before = self.opened()
        ping, fetch = self.ping(), self.fetch()
        rest(6.0)  # streams are not opened more often than every five seconds
        self.console("bert", DROP)
        self.until("there is another", lambda: self.opened() > before and len(self.ports()) == 2, 10.0)
        rest(1.0)
        self.unbroken(fetch.end())
        self.none_lost(ping.end())

    def test_udp_passes(self) -> None:
        """When UDP passes after all, traffic goes by it, and by TCP again when it ends: nothing is lost."""
        self.until("they are direct", lambda: self.all_are("direct"))
        self.assertEqual({self.meeting.peer(at, of)["state"] for at, of in PAIRS}, {"streaming"})
        ping = self.ping()
        with self.router("nat0", "easy"):
            self.search()
            self.until("they need no TCP", lambda: not self.ports())
            rest(2.0)
        self.until("they have TCP again", lambda: len(self.ports()) == 2)
        rest(2.0)
        self.none_lost(ping.end())
        self.until("they know", lambda: {self.meeting.peer(*pair)["state"] for pair in PAIRS} == {"streaming"})

    def opened(self) -> int:
        """How many streams bert has had: the next may lead from the same port to the same port."""
        return sum(each["kind"] == "stream-up" for each in self.meeting.machines["bert"].happenings())

    def ports(self) -> set[str]:
        """The other end of the stream, as each end sees it."""
        remotes = (self.meeting.peer(*pair)["remote"] for pair in PAIRS)
        return {remote for remote in remotes if remote.startswith("tcp ")}

    def until_again(self) -> None:
        """The next search finds it again."""
        self.search()
        self.until("they are direct again", lambda: self.all_are("direct"))


class StrictTests(VillageCase):
    """The same homes; on both machines nothing leaves but what morphnet sends."""

    rootless = False
    place = Place((Home("udp_blocked"), Home("none")), settings=(("strict", True),))

    def test_answers(self) -> None:
        """Who is called by TCP answers: what it accepts carries the mark of the socket that listens."""
        self.until("they are direct", lambda: self.all_are("direct"))
        self.assertEqual(self.ping("--count", "20").wait()["lost"], 0)


class BothClosedTests(VillageCase):
    """Two homes whose routers let only answers in, and no UDP."""

    rootless = False  # nothing of it depends on who one is
    place = Place((Home("udp_blocked"), Home("udp_blocked")))

    def test_met_half_way(self) -> None:
        """Both call at the same moment, and each router takes the other's call for an answer."""
        self.until("they are direct", lambda: self.all_are("direct"))
        self.assertRegex(self.meeting.peer("anna", "bert")["remote"], r"^tcp 198\.51\.100\.6:[0-9]+$")
        self.assertEqual(self.ping("--count", "20").wait()["lost"], 0)
