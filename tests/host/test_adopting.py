"""By which uplink a flow goes that was there before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.host.adopting import Ends, Ground, is_ours, numbers
from morphnet.host.dealing import CAME_IN
from morphnet.host.routes import Provider
from morphnet.host.uplinks import Uplink

WAN0 = Uplink("wan0", 2, True, ("192.168.1.2", "10.0.0.1"), (), "192.168.1.1", None, 1500, 100)
WAN1 = Uplink("wan1", 3, True, ("192.168.2.2", "10.0.0.1"), ("2001:db8::2",), "192.168.2.1", "fe80::1", 1500, 101)
AT = {"192.168.1.2": 7301, "192.168.2.2": 7302, "2001:db8::2": 7302}
OWN = {*AT, "10.0.0.1", "10.5.0.1", "10.7.0.1", "127.0.0.1"}
NETWORKS = ["10.5.0.0/16", "192.168.1.0/24", "192.168.2.0/24", "10.9.0.0/24", "2001:db8:5::/64"]
GROUND = Ground(AT, OWN, NETWORKS, {4: 7301, 6: 7302})
FAR, FAR6, INSIDE = "198.51.100.7", "2001:db8:ffff::1", "10.5.0.2"
addresses = st.one_of(st.ip_addresses().map(str), st.sampled_from([*OWN, FAR, FAR6, INSIDE, ""]))


class GroundTests(SynchronousTestCase):
    def test_numbers(self) -> None:
        """Each address has its uplink's number; one that two of them have tells nothing."""
        self.assertEqual(numbers([Provider(0, WAN0), Provider(1, WAN1)], 7300), AT)

    def test_translated(self) -> None:
        """What has an uplink's address outside leaves by it, whoever has begun it."""
        for source in (INSIDE, "192.168.2.2"):
            self.assertEqual(GROUND.mark_of(Ends(source, FAR, "192.168.2.2")), 7302)

    def test_came_in(self) -> None:
        """What was sent to an uplink's address came in by it, whoever answers."""
        self.assertEqual(GROUND.mark_of(Ends(FAR, "192.168.2.2", FAR)), 7302 | CAME_IN)

    def test_forwarded(self) -> None:
        """What is not translated is by the machine's own default route, whoever has begun it."""
        self.assertEqual(GROUND.mark_of(Ends(INSIDE, FAR, INSIDE)), 7301)
        self.assertEqual(GROUND.mark_of(Ends(FAR, INSIDE, FAR)), 7301 | CAME_IN)
        self.assertEqual(GROUND.mark_of(Ends("2001:db8:5::2", FAR6, "2001:db8:5::2")), 7302)

    def test_not_by_an_uplink(self) -> None:
        """Networks of its own, other devices (a VPN's), this machine with itself, and what is no host's."""
        for source, to, back in (
            (INSIDE, "10.9.0.3", INSIDE),
            ("10.7.0.1", FAR, "10.7.0.1"),
            (INSIDE, FAR, "10.7.0.1"),
            (FAR, "10.7.0.1", FAR),
            ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
            ("192.168.1.2", "192.168.2.2", "192.168.1.2"),
            ("192.168.1.2", "192.168.1.2", "192.168.1.2"),
            (INSIDE, "224.0.0.251", INSIDE),
            ("fe80::1", "ff02::1", "fe80::1"),
        ):
            self.assertEqual(GROUND.mark_of(Ends(source, to, back)), 0, (source, to, back))

    def test_outside(self) -> None:
        """What nothing but a default route leads to, whether there is one or not."""
        for ground in (GROUND, Ground(AT, OWN, NETWORKS, {})):
            self.assertTrue(all(map(ground.is_outside, (FAR, FAR6))))
            inside = (INSIDE, "192.168.1.9", "10.7.0.1", "127.0.0.9", "224.0.0.1", "fe80::1", "::1", "2001:db8:5::9")
            self.assertEqual([each for each in inside if ground.is_outside(each)], [])

    def test_no_default(self) -> None:
        """Where none of them has the machine's own default route, only addresses tell."""
        ground = Ground(AT, OWN, NETWORKS, {})
        self.assertEqual(ground.mark_of(Ends(INSIDE, FAR, INSIDE)), 0)
        self.assertEqual(ground.mark_of(Ends(INSIDE, FAR, "192.168.2.2")), 7302)

    @given(source=addresses, to=addresses, back=addresses)
    def test_anything(self, source: str, to: str, back: str) -> None:
        """Whatever the addresses are, it is the number of an uplink that there is, or none."""
        self.assertIn(GROUND.mark_of(Ends(source, to, back)) & ~CAME_IN, (0, 7301, 7302))

    def test_is_ours(self) -> None:
        """Somebody else's mark stays, and that of another one of us."""
        self.assertTrue(all(is_ours(each, 7300) for each in (0, 7301, 7364, 7301 | CAME_IN)))
        self.assertFalse(any(is_ours(each, 7300) for each in (1, 7300, 7365, 7401, 7401 | CAME_IN, CAME_IN)))
