"""wg-quick's files: what is changed in them, and that nothing else is."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config import wgquick
from morphnet.errors import ConfigError
from morphnet.tunnel.path import SPARE
from morphnet.wire.formats import COMPACT
from morphnet.wire.shapes.quic import Quic

HERE = "127.0.0.1:51821"
TEXT = b"""# home
[Interface]
PrivateKey = c2VjcmV0
FwMark = 0x77 # ours
Table = 77
PostUp = iptables -A x; echo Endpoint = y
[Peer]
PublicKey = aaa=
EndPoint=[2001:db8::1]:51820  # the gateway
AllowedIPs = 0.0.0.0/0, ::/0
Strange = 1
[Peer]
PublicKey = bbb=
Endpoint = b.example:1"""
PIECES = st.sampled_from([*TEXT.splitlines(), b"[interface]", b"MTU = 1500", b"MTU=9", b"", b"\x00\xff=", b" [PEER] "])
FILES = st.builds(lambda lines, end: end.join(lines), st.lists(PIECES, max_size=30), st.sampled_from([b"\n", b"\r\n"]))


class WgQuickTests(SynchronousTestCase):
    def test_changed(self) -> None:
        """The endpoint of that peer is another and an MTU is there; comments, FwMark, Table, PostUp and peers stay."""
        want = TEXT.replace(b"[2001:db8::1]:51820", HERE.encode()).replace(
            b"[Interface]\n", b"[Interface]\nMTU = 1331\n"
        )
        self.assertEqual(wgquick.wrapped(TEXT, {"aaa=": HERE}, wgquick.mtu_for(TEXT, 1500)), want)
        ends = TEXT.replace(b"\n", b"\r\n")
        self.assertEqual(wgquick.wrapped(ends, {"aaa=": HERE}, 1331), want.replace(b"\n", b"\r\n"))

    def test_peers(self) -> None:
        """Those that are called, in whatever case it is written."""
        self.assertEqual(wgquick.peers(TEXT), [("aaa=", "[2001:db8::1]:51820"), ("bbb=", "b.example:1")])
        self.assertTrue(wgquick.takes_default(TEXT))
        self.assertFalse(wgquick.takes_default(TEXT.replace(b"0.0.0.0/0, ::/0", b"10.0.0.0/8")))

    def test_mtu(self) -> None:
        """One that is small enough stays; what cannot be is refused."""
        small = TEXT.replace(b"[Interface]", b"[Interface]\nMTU = 1300")
        self.assertIsNone(wgquick.mtu_for(small, 1500))
        self.assertEqual(wgquick.wrapped(small.replace(b"1300", b"1420"), {}, 1331), small.replace(b"1300", b"1331"))
        for text, link in ((TEXT, 1400), (small.replace(b"1300", b"big"), 1500)):
            self.assertRaises(ConfigError, wgquick.mtu_for, text, link)
        self.assertRaises(ConfigError, wgquick.peers, b"hello")

    def test_shapes(self) -> None:
        """Whatever is worn, a full packet goes out as one datagram; 20 bytes is how fine the search for its size is."""
        quic = Quic(bytes(32), random.Random(1).randbytes, "www.example.org")
        longer = 32 + 4 + COMPACT.overhead + quic.least + SPARE + 48
        self.assertEqual(wgquick.OVERHEAD, longer + 20)

    @given(st.one_of(FILES, st.binary()))
    def test_back(self, text: bytes) -> None:
        """Of any file what is kept gives it back, and all lines but of Endpoint and MTU stay, in order."""
        fresh = wgquick.wrapped(text, {"aaa=": HERE}, 1331)
        kept = wgquick.Kept(text, wgquick.digest(fresh), "c", b"\x00", "d")
        self.assertEqual(wgquick.decode_kept(wgquick.encode_kept(kept)), kept)
        self.assertEqual(*(self.others(each) for each in (text, fresh)))

    def others(self, text: bytes) -> list[bytes]:
        return [each for each in text.split(b"\n") if not each.lower().strip().startswith((b"endpoint", b"mtu"))]

    @given(st.one_of(st.binary(), st.just(b"{}\n"), st.just(b"[" * 100000)))
    def test_not_kept(self, data: bytes) -> None:
        """What is none is refused, by the declared error alone."""
        self.assertRaises(ConfigError, wgquick.decode_kept, data)
