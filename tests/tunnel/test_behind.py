"""Networks behind ends of sessions."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning
from morphnet.tunnel.behind import Behind
from morphnet.tunnel.tunnel import Tunnel
from tests.simulation import packet
from tests.tunnel.scenes import Scene, way

_prefix = st.builds(
    lambda address, length: str(
        ipaddress.ip_network(f"{address}/{length % (address.max_prefixlen + 1)}", strict=False)
    ),
    st.ip_addresses(),
    st.integers(0, 128),
)


def _packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


class BehindTests(SynchronousTestCase):
    def test_longest(self) -> None:
        """Of several that hold an address the longest prefix decides, and who has none has nothing."""
        behind = Behind[str]()
        self.assertIsNone(behind.owner(_packed("192.168.7.9")))
        behind.are([("wide", ["192.168.0.0/16", "fd07::/48"]), ("near", ["192.168.7.0/24"])])
        asked = ("192.168.7.9", "192.168.8.9", "fd07::1", "fd08::1", "10.0.0.1")
        found = [behind.owner(_packed(each)) for each in asked]
        self.assertEqual(found, ["near", "wide", "wide", None, None])
        behind.forget("near")
        self.assertEqual(behind.owner(_packed("192.168.7.9")), "wide")
        behind.are([])
        self.assertIsNone(behind.owner(_packed("192.168.7.9")))

    def test_nobodys(self) -> None:
        """What is nobody's is not found behind who has a larger network, nor behind who is named later."""
        behind = Behind[str]()
        behind.are([(None, ["10.73.0.0/24"]), ("home", ["0.0.0.0/0", "10.73.0.0/24"])])
        self.assertEqual([behind.owner(_packed(each)) for each in ("10.73.0.5", "10.74.0.5")], [None, "home"])
        behind.forget("home")
        self.assertIsNone(behind.owner(_packed("10.74.0.5")))

    def test_passed_on(self) -> None:
        """What one had is another's at once, in whatever order they are named."""
        for names in ("ab", "ba"):
            behind = Behind[str]()
            for holder in "aba":
                behind.are((name, ["10.1.0.0/16"] if name == holder else []) for name in names)
                self.assertEqual(behind.owner(_packed("10.1.2.3")), holder)

    @given(st.dictionaries(st.sampled_from("abc"), st.lists(_prefix, max_size=4)), st.ip_addresses())
    def test_like_a_table(self, networks: dict[str, list[str]], address: ipaddress.IPv4Address) -> None:
        """Whoever is found has the longest prefix that holds the address."""
        behind = Behind[str]()
        behind.are(networks.items())
        lengths = {
            (ipaddress.ip_network(prefix).prefixlen, owner)
            for owner, prefixes in networks.items()
            for prefix in prefixes
            if address in ipaddress.ip_network(prefix)
        }
        longest = max((length for length, _ in lengths), default=-1)
        self.assertIn(behind.owner(address.packed), {owner for length, owner in lengths if length == longest} or {None})

    def test_session_gone(self) -> None:
        """With its session a network is nobody's."""
        tunnel = Tunnel(server=True, entropy=lambda size: bytes(range(size)))
        session = tunnel.add_session("laptop", bytes(16), Tuning(), [_packed("10.73.0.2")])
        tunnel.behind.are([(session, ["192.168.7.0/24"])])
        self.assertIs(tunnel.behind.owner(_packed("192.168.7.5")), session)
        tunnel.drop_session("laptop")
        self.assertIsNone(tunnel.behind.owner(_packed("192.168.7.5")))

    def test_packets(self) -> None:
        """A session gets packets for what is behind it, and takes those from there; from elsewhere they are spoofed."""
        scene, networks = Scene([way()]), ["192.168.7.0/24"]
        up, back, foreign = (bytearray(packet(number, up=number != 2)) for number in (1, 2, 3))
        for each, at, address in ((up, 12, "192.168.7.5"), (back, 16, "192.168.7.5"), (foreign, 12, "192.168.8.5")):
            each[10 + at : 10 + at + 4] = _packed(address)
        for known in (False, True):
            if known:
                scene.server_session.inbound.networks.are([(True, networks)])
                scene.server.behind.are([(scene.server_session, networks)])
            scene.send(bytes(up))
            scene.send(bytes(foreign))
            scene.send(bytes(back), up=False)
            scene.run(1)
            self.assertEqual((len(scene.at_server), len(scene.at_client)), (known, known))
        self.assertEqual((scene.server_session.counts["spoofed"], scene.server.counts["no_session"]), (3, 1))
