"""A mapped port, and datagrams of routers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.nft import Mapping
from morphnet.lab.portmapper import Leases, PortMapper
from morphnet.rendezvous.mappedport import PCP_DRIFT, PMP_DRIFT, MappedPort, restarted
from morphnet.rendezvous.portmapping import Wish
from morphnet.wire.pcp import TCP
from tests.rendezvous.test_portmapping import FakeListener, FakeRouter

OURS, OUTSIDE = "192.168.1.2", "198.51.100.2"
BOTH = ("pcp", "pmp")


class MappedPortTests(SynchronousTestCase):
    """With the lab's router at the other end, on the same clock."""

    def setUp(self) -> None:
        self.clock, self.router, self.listener = Clock(), FakeRouter(), FakeListener()
        self.clock.advance(1000)
        self.port = self.make(Wish(OURS, 5000, b"123456789012"))
        self.router.on_ask = self.answer
        self.boot()

    def make(self, wish: Wish) -> MappedPort:
        """One that is not started; with no jitter, and renewals at half the lifetime."""
        return MappedPort(self.router, self.listener, self.clock, lambda: 0.0, wish)

    def boot(self, *speaks: str, address: str = OUTSIDE) -> None:
        """Begin anew, as a router that knows of nothing."""
        self.mapper = PortMapper(address, Leases(), speaks or BOTH, self.clock.seconds())

    def answer(self, request: bytes) -> None:
        """The router's answer comes a moment later."""
        said = self.mapper.answer(request, OURS, self.clock.seconds())
        if said is not None:
            self.clock.callLater(0.01, self.port.received, said)

    def run_for(self, seconds: float) -> None:
        """In steps of a tenth."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)

    def test_pcp(self) -> None:
        """A router that knows both gives a port by PCP, and takes it back."""
        self.port.start()
        self.run_for(1)
        self.assertEqual((self.router.asked, self.listener.told), (["pcp map"], [f"{OUTSIDE}:5000"]))
        self.port.stop()
        self.run_for(1)
        self.assertEqual(self.router.asked, ["pcp map", "pcp give back", "done"])
        self.assertEqual(self.mapper.leases.mappings(), [])

    def test_pmp(self) -> None:
        """One that knows only NAT-PMP says so, and is asked in it; TCP works too."""
        self.boot("pmp")
        self.port = self.make(Wish(OURS, 5000, b"123456789012", TCP))
        self.port.start()
        self.run_for(1)
        self.assertEqual(self.router.asked, ["pcp map", "pmp address", "pmp map"])
        self.assertEqual(self.listener.told, [f"{OUTSIDE}:5000"])
        self.assertEqual([each.protocol for each in self.mapper.leases.mappings()], [TCP])
        self.port.stop()
        self.run_for(1)
        self.assertEqual(self.router.asked[3:], ["pmp give back", "done"])
        self.assertEqual(self.mapper.leases.mappings(), [])

    def test_renewed(self) -> None:
        """Hours later the mapping is the same."""
        self.port.start()
        for _ in range(12):
            self.run_for(605)
            self.mapper.leases.expire(self.clock.seconds())
            self.assertEqual(len(self.mapper.leases.mappings()), 1)
        self.assertEqual((len(self.router.asked), self.listener.told), (13, [f"{OUTSIDE}:5000"]))

    def test_router_restarted(self) -> None:
        """A restart is noticed by the next renewal, in either protocol, and the mapping made anew."""
        for speaks in BOTH:
            self.setUp()
            self.boot(speaks)
            self.port.start()
            self.run_for(100)
            self.boot(speaks, address="198.51.100.9")
            self.run_for(510)
            self.assertEqual(self.listener.told, [f"{OUTSIDE}:5000", "198.51.100.9:5000"])
            self.assertEqual(len(self.mapper.leases.mappings()), 1)

    def test_restart_told_late(self) -> None:
        """An answer that tells of a restart while nothing is asked makes us ask at once."""
        self.port.start()
        self.run_for(100)
        self.boot()
        late = self.mapper.answer(self.router.requests[0], OURS, self.clock.seconds())
        self.port.received(late or b"")
        self.assertEqual(self.router.asked, ["pcp map", "pcp map"])

    def test_refused(self) -> None:
        """A refusal is told in words; we ask again after as long as the router said, within bounds."""
        self.mapper.leases.grant(Mapping(17, 0, OURS, 5000), b"somebodyelse", 7200, self.clock.seconds())
        self.port.start()
        self.run_for(29)
        self.assertEqual((self.router.asked, self.listener.told), (["pcp map"], ["not authorized"]))
        self.run_for(2)
        self.assertEqual(self.router.asked, ["pcp map", "pcp map"])

    def test_no_address_outside(self) -> None:
        """A router that is not connected has nothing to give."""
        for speaks in BOTH:
            self.setUp()
            self.boot(speaks, address="0.0.0.0")
            self.port.start()
            self.run_for(1)
            self.assertRegex(self.listener.told[0], "nowhere|no address outside")

    def test_not_ours(self) -> None:
        """What is no answer, and answers about other mappings, are counted and change nothing."""
        other = self.make(Wish(OURS, 5000, b"another one!"))
        other.start()
        strange = self.mapper.answer(self.router.requests[0], OURS, self.clock.seconds()) or b""
        other.stop()
        self.port.start()
        for datagram in (strange, b"", b"\0" * 12):
            self.port.received(datagram)
        self.assertEqual((self.port.strange, self.port.malformed, self.listener.told), (1, 2, []))


class EpochTests(SynchronousTestCase):
    @given(st.integers(0, 2**31), st.floats(0, 1e6), st.floats(0.95, 1.05), st.sampled_from((PCP_DRIFT, PMP_DRIFT)))
    def test_goes_on(self, epoch: int, elapsed: float, speed: float, drift: float) -> None:
        """A clock that goes on about as fast as ours has lost nothing."""
        self.assertFalse(restarted(epoch, epoch + int(elapsed * speed), elapsed, drift))

    def test_goes_back(self) -> None:
        """One that is behind, or far ahead, has; a second behind is an answer that was overtaken."""
        for epoch, later, elapsed, lost in (
            (100, 99, 0.0, False),
            (100, 98, 0.0, True),
            (1000, 10, 600.0, True),
            (10, 400, 600.0, True),  # it restarted 200 s ago, and is ahead of where it was
            (0, 1000, 10.0, True),  # another router
            (0, 12, 10.0, False),
        ):
            self.assertEqual(restarted(epoch, later, elapsed, PCP_DRIFT), lost, (epoch, later, elapsed))
