"""Who may come in at a port."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.admission import MADE_ROOM, Admission
from morphnet.net.gate import Gate
from morphnet.net.knock import NO_KNOCK
from morphnet.net.limits import Limits

HOSTS = [f"198.51.100.{number}" for number in range(1, 100)]
WITHIN = 10.0


class FakeGuest:
    """A connection; who hangs up on it is told that it has left, as real ones tell."""

    def __init__(self, case: AdmissionTestCase, host: str) -> None:
        self.host, self.dropped, self._case = host, "", case

    def drop(self, reason: str) -> None:
        """Note why, and tell the admission that it has left."""
        self.dropped = reason
        self._case.admission.left(self)


class AdmissionTestCase(SynchronousTestCase):
    limits = Limits(rate=1.0, burst=2, connections=4, half_open=3, half_open_per_source=2)
    within: float | None = None

    def setUp(self) -> None:
        self.clock = Clock()
        self.gate = Gate(self.clock)
        self.admission: Admission[FakeGuest] = Admission(self.gate, "port", self.limits, self.within)

    def comes(self, host: str, *, proven: bool = False) -> FakeGuest | None:
        """Somebody calls; None when he is not admitted."""
        if not self.admission.admits(host):
            return None
        guest = FakeGuest(self, host)
        self.admission.entered(guest)
        if proven:
            self.admission.proven(guest)
        return guest

    def count(self, what: str) -> int:
        """As status shows it."""
        return self.admission.counters()[f"port_{what}"]


class RateTests(AdmissionTestCase):
    def test_source(self) -> None:
        """So many from one source at once, then as many as its rate; others are none the worse for it."""
        came = [self.comes(HOSTS[0], proven=True) is not None for _ in range(5)]
        self.assertEqual((came, self.count("limited")), ([True] * 2 + [False] * 3, 3))
        self.assertIsNotNone(self.comes(HOSTS[1]))
        self.clock.advance(1.0)
        self.assertIsNotNone(self.comes(HOSTS[0]))


class RoomTests(AdmissionTestCase):
    def test_half_open(self) -> None:
        """When too many are half in, the one for longest has to go; who is proven stays."""
        proven = self.comes(HOSTS[0], proven=True)
        first, *_, last = (self.comes(host) for host in HOSTS[1:5])
        assert proven is not None and first is not None and last is not None
        self.assertEqual((proven.dropped, first.dropped, last.dropped), ("", MADE_ROOM, ""))
        self.assertEqual((self.count("half_open"), self.count("evicted"), len(self.admission)), (3, 1, 4))

    def test_full(self) -> None:
        """With all places taken a half-open one goes; where all are proven nobody comes in any more."""
        guests = [self.comes(host, proven=True) for host in HOSTS[:3]]
        half = self.comes(HOSTS[3])
        assert half is not None
        self.assertIsNotNone(self.comes(HOSTS[4], proven=True))
        self.assertEqual((half.dropped, [guest.dropped for guest in guests if guest]), (MADE_ROOM, [""] * 3))
        self.assertIsNone(self.comes(HOSTS[5]))
        self.assertEqual(self.count("full"), 1)

    def test_no_files(self) -> None:
        """When the process has no file left, the one goes that has been half in for longest; nobody who is proven."""
        proven, half = self.comes(HOSTS[0], proven=True), self.comes(HOSTS[1])
        assert proven is not None and half is not None
        for _ in range(3):
            self.gate.out_of_files("no more")
        self.assertEqual((proven.dropped, half.dropped), ("", MADE_ROOM))

    def test_our_call(self) -> None:
        """One that we have called ourselves takes nobody's place among those half in."""
        ours = FakeGuest(self, HOSTS[0])
        self.admission.entered(ours, called=False)
        for host in HOSTS[1:5]:
            self.comes(host)
        self.assertEqual((ours.dropped, self.count("half_open")), ("", 3))


class TimeTests(AdmissionTestCase):
    within = WITHIN

    def test_too_long(self) -> None:
        """Whoever is half in for too long is hung up on; who is proven in time is not."""
        slow, quick = self.comes(HOSTS[0]), self.comes(HOSTS[1])
        assert slow is not None and quick is not None
        self.clock.advance(WITHIN / 2)
        self.admission.proven(quick)
        self.admission.proven(quick)
        self.clock.advance(WITHIN)
        self.assertEqual((slow.dropped, quick.dropped), ("handshake took too long", ""))

    def test_gone(self) -> None:
        """Who goes by himself leaves no timer, and may be told of twice."""
        guest = self.comes(HOSTS[0])
        assert guest is not None
        self.admission.left(guest)
        self.admission.left(guest)
        self.assertEqual((self.clock.getDelayedCalls(), len(self.admission)), ([], 0))


class RefusedTests(AdmissionTestCase):
    def test_counted(self) -> None:
        """Each refusal is counted, and those who did not knock apart from it too."""
        for reason in ("certificate expired", NO_KNOCK, NO_KNOCK):
            self.admission.refused(reason)
        self.assertEqual((self.count("refused"), self.count("no_knock")), (3, 2))


class CloseTests(AdmissionTestCase):
    def test_empty(self) -> None:
        """An empty port is closed at once."""
        self.successResultOf(self.admission.close())

    def test_when_all_have_left(self) -> None:
        """It is closed when the last one has left; nobody comes in meanwhile, and nobody is complained of."""
        guests = [self.comes(host, proven=turn > 0) for turn, host in enumerate(HOSTS[:3])]
        closed = self.admission.close()
        self.assertIsNone(self.comes(HOSTS[4]))
        self.admission.refused("we stop")
        for guest in self.admission:
            self.assertNoResult(closed)
            guest.drop("we stop")
        self.successResultOf(closed)
        self.assertEqual(([each.dropped for each in guests if each], self.count("refused")), (["we stop"] * 3, 0))
