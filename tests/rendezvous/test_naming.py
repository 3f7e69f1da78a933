"""Whose a name is, and what is said of the network's own."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from morphnet.rendezvous.naming import Ask, Known, Naming, Zone, reverse_zones

LAPTOP = ("10.73.0.2", "fd73::2")
REVERSE6 = "2" + ".0" * 27 + ".3.7.d.f.ip6.arpa"


class NamingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.zone = Zone(("10.73.0.0/24", "fd73::/64"))
        self.zone.are({"laptop": LAPTOP, "pc.home": ("10.73.0.3",), "wpad": ("10.73.0.4",), "10.0.0.1": ("10.73.0.5",)})
        self.domains: dict[str, tuple[str, ...]] = {"corp.example": ("10.0.0.53",), "lab.corp.example": ("10.1.0.53",)}
        self.naming = Naming(self.zone, self.domains, lambda: ("9.9.9.9",))

    def test_machines(self) -> None:
        """By their label, under the domain, and the other way round."""
        for name in ("laptop", "laptop.morph"):
            self.assertEqual(self.naming.where(name), Known(True, LAPTOP))
        self.assertEqual(self.naming.where("pc.home.morph"), Known(True, ("10.73.0.3",)))
        for name in ("2.0.73.10.in-addr.arpa", REVERSE6):
            self.assertEqual(self.naming.where(name), Known(True, pointer="laptop.morph"))
        self.assertEqual(self.naming.where("morph"), Known(True))

    def test_nobody(self) -> None:
        """What is under the domain, or of an inner address, and unknown, is asked of nobody."""
        strange = ("x.morph", "x.laptop.morph", "_tcp.morph", "phone", "9.0.73.10.in-addr.arpa", "wpad.morph", "wpad")
        for name in (*strange, "10.0.0.1.morph"):
            self.assertEqual(self.naming.where(name), Known(False), name)

    def test_world(self) -> None:
        """All else is the world's, also what only ends like ours."""
        for name in ("example.org", "amorph", "laptop.morph.example", "9.1.73.10.in-addr.arpa", ""):
            if name != "amorph":
                self.assertEqual(self.naming.where(name), Ask(("9.9.9.9",), False), name)

    def test_split(self) -> None:
        """The longest domain that fits is asked, for itself and what is under it."""
        self.assertEqual(self.naming.where("wiki.corp.example"), Ask(("10.0.0.53",), True))
        self.assertEqual(self.naming.where("corp.example"), Ask(("10.0.0.53",), True))
        self.assertEqual(self.naming.where("a.lab.corp.example"), Ask(("10.1.0.53",), True))
        self.assertEqual(self.naming.where("notcorp.example"), Ask(("9.9.9.9",), False))

    def test_one_label(self) -> None:
        """A domain of one label goes to its resolver, unless a machine is called so; the network's own never does."""
        naming = Naming(self.zone, {"lan": ("10.0.0.53",), "laptop": ("10.0.0.53",), "morph": ("10.0.0.53",)}, tuple)
        self.assertEqual(naming.where("nas.lan"), Ask(("10.0.0.53",), True))
        self.assertEqual(naming.where("lan"), Ask(("10.0.0.53",), True))
        self.assertEqual(naming.where("laptop"), Known(True, LAPTOP))
        self.assertEqual(naming.where("x.morph"), Known(False))

    def test_without_zone(self) -> None:
        """A machine that only asks sends the network's names to the gateway."""
        naming = Naming(None, {"morph": ("10.73.0.1",)}, lambda: ("192.168.1.1",))
        self.assertEqual(naming.where("laptop.morph"), Ask(("10.73.0.1",), True))
        self.assertEqual(naming.where("laptop"), Ask(("192.168.1.1",), False))

    def test_reverse(self) -> None:
        """Zones hold the addresses of a network and no others."""
        self.assertEqual(reverse_zones("10.73.0.0/24"), ("0.73.10.in-addr.arpa",))
        self.assertEqual(reverse_zones("10.72.0.0/15"), ("72.10.in-addr.arpa", "73.10.in-addr.arpa"))
        self.assertEqual(len(reverse_zones("10.73.0.128/25")), 128)
        self.assertEqual(reverse_zones("10.73.0.4/30"), tuple(f"{n}.0.73.10.in-addr.arpa" for n in range(4, 8)))
        self.assertEqual(reverse_zones("fd73::/64"), (("0." * 12) + "3.7.d.f.ip6.arpa",))

    def test_count(self) -> None:
        """Only what may name a machine is known."""
        self.assertEqual(self.zone.count, 2)
