"""What the original's datagrams look like."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame
from morphnet.legacy.templates import GAME, KCP, QUIC, Template, ahead, id_of, read
from tests.legacy.vectors import VECTORS

CLIENT = bytes(range(16))
CHANCE = {QUIC: (0,), KCP: (), GAME: (10, 11)}  # what is drawn, by its place in the datagram
TIME = {QUIC: (), KCP: range(8, 12), GAME: ()}


def template(which: int, first: int = 0) -> Template:
    """One of the vectors' client."""
    return Template(which, CLIENT, first, random.Random(1).randbytes)


class TemplateTests(SynchronousTestCase):
    """Byte by byte."""

    def test_vectors(self) -> None:
        """Two datagrams of each, the first with the last number there is."""
        for vector in VECTORS["templates"]:
            which, body = vector["id"], bytes.fromhex("deadbeef")
            mine = template(which, 0xFFFF)
            ours = mine.dress([b"\x01", body], 0x1234567890)
            for made, known in zip(
                ours, (bytes.fromhex(vector["first"]), bytes.fromhex(vector["second"])), strict=True
            ):
                drawn = {*CHANCE[which], *TIME[which]}
                fixed = [at for at in range(len(known)) if at not in drawn]
                self.assertEqual([made[at] for at in fixed], [known[at] for at in fixed], vector["name"])
                self.assertEqual(read(which, known).number, read(which, made).number)
                self.assertEqual(read(which, known).id, id_of(which, CLIENT))
            self.assertEqual((read(which, ours[0]).number, read(which, ours[1]).number), (0xFFFF, 0))
            self.assertEqual(read(which, ours[1]).body, body)

    def test_fields(self) -> None:
        """Sizes, and what is drawn, is within what the original draws."""
        for which, overhead in ((QUIC, 11), (KCP, 24), (GAME, 12)):
            self.assertEqual(template(which).overhead, overhead)
        for datagram in template(QUIC).dress([b"x"] * 99, 0):
            self.assertEqual(datagram[0] & 0xF0, 0x40)
        self.assertEqual({datagram[10] for datagram in template(GAME).dress([b"x"] * 99, 0)}, {1, 2, 3, 4, 5})
        (kcp,) = template(KCP, 7).dress([b"body"], 0x1234567890)
        self.assertEqual(kcp[8:24].hex(), "90785634" + "07000000" + "06000000" + "04000000")

    def test_refused(self) -> None:
        """Too short, without its word, or no template at all."""
        for which in (QUIC, KCP, GAME):
            whole = template(which).dress([b""], 0)[0]
            read(which, whole)
            self.assertRaises(MalformedFrame, read, which, whole[:-1])
        self.assertRaises(MalformedFrame, read, GAME, b"GAMF" + bytes(20))
        for which, client, first in ((0, CLIENT, 0), (4, CLIENT, 0), (1, CLIENT[:15], 0), (1, CLIENT, 1 << 16)):
            self.assertRaises(MalformedFrame, Template, which, client, first, bytes)

    def test_ahead(self) -> None:
        """Numbers are compared around their end."""
        self.assertEqual([ahead(0, 0xFFFF), ahead(0xFFFF, 0), ahead(5, 5), ahead(40000, 0)], [1, -1, 0, 40000 - 65536])

    @given(some.sampled_from((QUIC, KCP, GAME)), some.binary(max_size=60))
    def test_anything(self, which: int, datagram: bytes) -> None:
        """Whatever comes is read, or refused with the declared error."""
        try:
            self.assertTrue(datagram.endswith(read(which, datagram).body))
        except MalformedFrame:
            pass
