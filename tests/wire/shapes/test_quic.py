"""The shape `quic`: what is seen of a flow, what both ends make of it, and what they make of what is not theirs."""

from __future__ import annotations

import random

from aioquic.buffer import Buffer  # type: ignore[attr-defined]
from aioquic.tls import pull_client_hello, pull_server_hello
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.wire.core import CORE
from morphnet.wire.formats import COMPACT
from morphnet.wire.shapes import longheader
from morphnet.wire.shapes.longheader import HANDSHAKE, INITIAL, ZERO_RTT
from morphnet.wire.shapes.quic import BETWEEN, MOST_FLOWS, MOST_GREETING, SELDOM, TRIES, WITH_INITIAL, Quic, QuicFlow
from morphnet.wire.shapes.shape import Shape
from tests import at_least
from tests.wire.shapes.test_longheader import opened
from tests.wire.shapes.test_masked import ID as ID_OF_OURS
from tests.wire.shapes.test_masked import KNOWN, sealed
from tests.wire.shapes.test_masking import joined

NAME = "www.example.org"
BIG = 64000


def client(network: bytes = bytes(32), seed: int = 1, sni: str = NAME) -> Quic:
    """One end of that network."""
    return Quic(network, random.Random(seed).randbytes, sni)


def server(network: bytes = bytes(32), seed: int = 2) -> Quic:
    """The other."""
    return Quic(network, random.Random(seed).randbytes, None)


def sent(shape: Shape, run: bytes, size: int = 100, padding: int = 0) -> tuple[bytes, int]:
    """As it goes out."""
    dressed, each = shape.dress(run, size, padding, padding, BIG)
    return bytes(dressed), each


def come(at: Quic, data: bytes, size: int = 0) -> tuple[bytes, Shape]:
    """What comes of it there, and what it wore; it is authentic."""
    reading = at.reading(data, size or len(data))
    assert reading is not None
    found = reading.undress(0, KNOWN)
    assert found is not None
    assert found[2] == len(data)
    reading.worn.proved()
    return bytes(found[0]), reading.worn


class Both(SynchronousTestCase):
    """A client and a server that have said nothing to each other yet."""

    def setUp(self) -> None:
        self.client, self.server = client(), server()
        self.flow = self.client.flow()

    def shake_hands(self) -> Shape:
        """All three parts of it: the server's flow."""
        _, worn = come(self.server, sent(self.flow, sealed(0))[0])
        come(self.client, sent(worn, sealed(1))[0])
        self.assertIs(come(self.server, sent(self.flow, sealed(2))[0])[1], worn)
        return worn


class HandshakeTests(Both):
    def test_client_begins(self) -> None:
        """Its first datagram is an Initial that anybody opens, with that name, and early data; 1200 bytes together."""
        first, _ = sent(self.flow, sealed(0))
        self.assertEqual(len(first), WITH_INITIAL)
        found = longheader.find(first, 9)
        assert found is not None
        self.assertEqual((found.kinds, len(found.ids.to), found.ids.source), ((INITIAL, ZERO_RTT), 8, b""))
        frames, number = opened(first, found.ids.to)
        self.assertEqual((frames[0], number), (6, 0))
        asked = pull_client_hello(Buffer(data=frames[4:]))
        self.assertEqual((asked.server_name, asked.alpn_protocols), (NAME, ["h3"]))
        self.assertEqual(come(self.server, first)[0], sealed(0))

    def test_server_answers(self) -> None:
        """With an Initial under the same keys, a Handshake packet, and the datagram; the client finishes alike."""
        first, _ = sent(self.flow, sealed(0))
        began = longheader.find(first, 9)
        _, worn = come(self.server, first)
        answer, _ = sent(worn, sealed(1))
        found = longheader.find(answer, 1)
        assert found is not None
        assert began is not None
        self.assertEqual((len(answer), found.kinds), (WITH_INITIAL, (INITIAL, HANDSHAKE)))
        frames, _ = opened(answer, began.ids.to, at_server=False)
        self.assertEqual((frames[0], frames[6]), (2, 6))  # ACK, CRYPTO
        self.assertEqual(pull_server_hello(Buffer(data=frames[10:])).supported_version, 0x0304)
        self.assertEqual(come(self.client, answer)[0], sealed(1))
        finish, _ = sent(self.flow, sealed(2))
        finished = longheader.find(finish, 9)
        assert finished is not None
        self.assertEqual((finished.kinds, finished.ids.to), ((INITIAL, HANDSHAKE), found.ids.source))
        self.assertEqual(opened(finish, began.ids.to)[1], 1)
        self.assertEqual(come(self.server, finish), (sealed(2), worn))

    def test_then_short(self) -> None:
        """After it all have a short header: a client's with the server's id in it, a server's with none."""
        worn = self.shake_hands()
        for number in range(3, 40):
            up, _ = sent(self.flow, sealed(number))
            down, _ = sent(worn, sealed(number))
            self.assertEqual({up[0] >> 6, down[0] >> 6}, {1})
            self.assertEqual((len(up), len(down)), (len(sealed(0)) + 10, len(sealed(0)) + 2))
            self.assertEqual(up[1:9], self.flow.answer)
            self.assertEqual(
                (come(self.server, up), come(self.client, down)[0]), ((sealed(number), worn), sealed(number))
            )

    def test_unanswered(self) -> None:
        """
        An Initial is repeated, the same one, with early data alone between, ever more of it, for as long as nobody
        answers: nothing goes to an id that no server gave. An answer ends that at any time.
        """
        firsts, hellos = list[tuple[int, ...]](), set[bytes]()
        for number in range(3 * (BETWEEN + 1) + 3 * (SELDOM + 1)):
            datagram, _ = sent(self.flow, sealed(number))
            found = longheader.find(datagram, 9)
            assert found is not None
            firsts.append(found.kinds)
            if found.initial:
                hellos.add(opened(datagram, found.ids.to)[0][:400])
            self.assertEqual(come(self.server, datagram)[0], sealed(number))
        turns = [[(INITIAL, ZERO_RTT), *[(ZERO_RTT,)] * many] for many in (BETWEEN, SELDOM)]
        self.assertEqual((firsts, len(hellos)), (turns[0] * 3 + turns[1] * 3, 1))
        self.assertEqual(TRIES, 4)
        _, worn = come(self.server, sent(self.flow, sealed(0))[0])
        come(self.client, sent(worn, sealed(1))[0])
        found = longheader.find(sent(self.flow, sealed(2))[0], 9)
        assert found is not None
        self.assertEqual(found.kinds, (INITIAL, HANDSHAKE))
        self.assertEqual(sent(self.flow, sealed(3))[0][0] >> 6, 1)

    def test_unanswered_for_weeks(self) -> None:
        """The numbers of Initials do not end."""
        self.flow._number = (1 << 16) + 3
        datagram, _ = sent(self.flow, sealed(0))
        self.assertEqual((len(datagram), come(self.server, datagram)[0]), (WITH_INITIAL, sealed(0)))

    def test_finishes_are_counted(self) -> None:
        """A client finishes once for each answer, and no more than that many times, however often one comes."""
        _, worn = come(self.server, sent(self.flow, sealed(0))[0])
        answer, long = sent(worn, sealed(1))[0], 0
        for _ in range(2 * TRIES):
            come(self.client, answer)
            kinds = [sent(self.flow, sealed(number))[0][0] >> 6 for number in range(3)]
            self.assertEqual(kinds[1:], [1, 1])
            long += kinds[0] == 3
        self.assertEqual(long, TRIES)

    def test_answers_are_counted(self) -> None:
        """A server answers each Initial once, and no more than that many: repeating one leads to nothing."""
        first, _ = sent(self.flow, sealed(0))
        _, worn = come(self.server, first)
        long = 0
        for _ in range(2 * TRIES):
            come(self.server, first)
            kinds = [sent(worn, sealed(number))[0][0] >> 6 for number in range(3)]
            self.assertEqual(kinds[1:], [1, 1])
            long += kinds[0] == 3
        self.assertEqual(long, TRIES)

    def test_no_room(self) -> None:
        """Where an address has not earned that much, or a datagram is too long beside it, there is no Initial."""
        self.assertEqual(self.flow.dress(sealed(0), 100, 0, 0, WITH_INITIAL - 101)[0][0] >> 6, 1)
        self.assertEqual(sent(self.flow, sealed(0, MOST_GREETING), 2000)[0][0] >> 6, 1)
        self.assertEqual(sent(self.flow, sealed(0) + sealed(1))[0][0] >> 6, 1)
        for sni in ("", "a.example", ".".join(["a" * 54] * 4)):
            flow = client(sni=sni).flow()
            datagram, _ = sent(flow, sealed(0, MOST_GREETING - 40), 2000)
            self.assertEqual((len(datagram), datagram[0] >> 6), (WITH_INITIAL, 3))


class FlowTests(Both):
    def test_runs(self) -> None:
        """A run comes back whole both ways, the last datagram shorter or not; each was longer by the same."""
        worn = self.shake_hands()
        for count, last in ((1, 100), (2, 100), (64, 41), (7, 99)):
            run = b"".join(sealed(number) for number in range(count - 1)) + sealed(count, last - 40)[:last]
            size = 100 if count > 1 else last
            for shape, end in ((self.flow, self.server), (worn, self.client)):
                for padding in (0, 7, 15):
                    dressed, each = sent(shape, run, size, padding)
                    self.assertEqual(
                        (each, len(dressed)), (size + shape.least + padding, len(run) + count * (each - size))
                    )
                    self.assertEqual(come(end, dressed, each)[0], run)

    def test_seen(self) -> None:
        """Over 5,000 datagrams every byte but the id takes nearly every value, the first one all of its five bits."""
        self.shake_hands()
        up = [sent(self.flow, sealed(number))[0] for number in range(5000)]
        self.assertEqual({each[1:9] for each in up}, {self.flow.answer})
        self.assertEqual({each[0] for each in up}, set(range(0x40, 0x60)))
        for at in range(9, 35):
            self.assertGreaterEqual(len({each[at] for each in up}), 250, at)

    def test_each_its_own(self) -> None:
        """Two flows share no id; a client's next one, from elsewhere, begins with a handshake of its own."""
        other = self.flow.flow()
        assert isinstance(other, QuicFlow)
        self.shake_hands()
        self.assertNotEqual(other.answer, self.flow.answer)
        self.assertEqual(sent(other, sealed(0))[0][0] >> 6, 3)
        self.assertEqual(sent(self.flow, sealed(0))[0][0] >> 6, 1)

    def test_restarted_server(self) -> None:
        """One that has forgotten all flows reads on, and answers without a handshake; each flow has one object."""
        self.shake_hands()
        fresh = server(seed=9)
        plain, worn = come(fresh, sent(self.flow, sealed(7))[0])
        self.assertEqual((plain, sent(worn, sealed(0))[0][0] >> 6), (sealed(7), 1))
        self.assertIs(come(fresh, sent(self.flow, sealed(8))[0])[1], worn)

    def test_bounded(self) -> None:
        """A server remembers so many flows, and none that its network did not make: who bends ids makes none."""
        datagram, _ = sent(self.flow, sealed(0))
        for at in range(6, 14):
            come(self.server, datagram[:at] + bytes((datagram[at] ^ 1,)) + datagram[at + 1 :])
        self.assertEqual(len(self.server.flows), 0)
        for _ in range(MOST_FLOWS + 10):
            self.client.flow()
        self.assertEqual(len(self.client.flows), MOST_FLOWS)

    def test_last_used(self) -> None:
        """A server forgets the flow that was not used for longest; what is not authentic makes it remember none."""
        worn = self.shake_hands()
        known = list(self.server.flows)
        for number in range(MOST_FLOWS + 10):
            if number % 100 == 0:
                self.assertIs(come(self.server, sent(self.flow, sealed(number))[0])[1], worn)
            come(self.server, sent(self.client.flow(), sealed(number))[0])
        self.assertEqual(len(self.server.flows), MOST_FLOWS)
        self.assertIn(known[0], self.server.flows)
        fresh = server()
        for number in range(10):
            for datagram in (sent(self.client.flow(), sealed(number))[0], sent(self.flow, sealed(number))[0]):
                reading = fresh.reading(datagram, len(datagram))
                assert reading is not None
                self.assertIsNotNone(reading.undress(0, KNOWN))
        self.assertEqual(len(fresh.flows), 0)

    def test_short_one_first(self) -> None:
        """A server that sees one with a short header before the Initial answers that all the same."""
        first = sent(self.flow, sealed(0))[0]
        come(self.server, sent(self.flow, sealed(1, 1000), 2000)[0])
        _, worn = come(self.server, first)
        self.assertEqual(sent(worn, sealed(2))[0][0] >> 6, 3)

    def test_ours(self) -> None:
        """Each end reads what it has sent itself, for those who watch, and takes nothing from that."""
        worn = self.shake_hands()
        for shape, end in ((client().flow(), client()), (self.flow, self.client), (worn, self.server)):
            datagram, _ = sent(shape, sealed(4))
            reading = end.reading(datagram, len(datagram), ours=True)
            assert reading is not None
            self.assertEqual(reading.undress(0, KNOWN), (sealed(4), 100, len(datagram), 0))
        self.assertEqual(len(self.server.flows), 1)


class OthersTests(Both):
    def test_another_network(self) -> None:
        """What one network has dressed is nothing to another one, with its handshake or without."""
        for datagram in (sent(self.flow, sealed(0))[0], sent(self.client.nobody, sealed(1))[0]):
            reading = server(b"b" * 32).reading(datagram, len(datagram))
            assert reading is not None
            self.assertIsNone(reading.undress(0, KNOWN))

    def test_among_others(self) -> None:
        """In one row junk, a plain one at the end and one with an Initial: each of ours is found; one look serves."""
        self.shake_hands()
        run, size = sent(self.flow, sealed(1, 1150) + sealed(2, 1150), 1190)
        begins = sent(self.client.flow(), sealed(3))[0]
        self.assertEqual((size, len(begins)), (1200, 1200))
        junk, plain = b"\x45" + random.Random(3).randbytes(size - 1), sealed(4, 1160)
        looked = self.server.read
        reading = self.server.reading(junk + run + begins + run + plain, size)
        assert reading is not None
        found = [reading.undress(at * size, KNOWN) for at in (0, 1, 3, 4, 6)]
        whole = sealed(1, 1150) + sealed(2, 1150), 1190
        expected = [None, (*whole, 3 * size, 0), (sealed(3), 100, 4 * size, 0), (*whole, 6 * size, 0), None]
        self.assertEqual(found, expected)
        self.assertEqual(self.server.read - looked, 2)

    def test_at_once(self) -> None:
        """A run that is masked while it is sealed, and one that is taken at once; and what to answer in."""
        self.shake_hands()
        key, text = CORE.key(bytes(32)), bytes(range(200)) * 3
        front = COMPACT.counting, ID_OF_OURS + bytes(16), ID_OF_OURS + bytes(16), 24
        run = bytes(key.seal(front, bytes(12), b"", text, 100))
        for by, to, worn in ((self.flow, self.server, self.server.latest), (self.server.latest, self.client, None)):
            coat = by.coat(15)
            dressed = bytes(key.seal_masked(front, bytes(12), b"", text, 100, coat))
            self.assertEqual(come(to, dressed, 140 + coat.longer)[0], run)
            taken = by.take(dressed, 140 + coat.longer, KNOWN), to.take(dressed, 140 + coat.longer, KNOWN)
            self.assertIsNone(taken[0])
            assert taken[1] is not None
            self.assertEqual(joined(taken[1][0]), (run, 140, len(dressed)))
            self.assertIs(taken[1][1], worn or to.nobody)

    def test_cost(self) -> None:
        """A row of garbage takes one call of the cipher, and what has not the outside of such a packet none."""
        chance = random.Random(5)
        for front, most in ((b"", 1), (b"\x40", 1), (b"\x80", 0), (b"\xc0\0\0\0\x01\x08", 0)):
            row = b"".join(front + chance.randbytes(1200 - len(front)) for _ in range(64))
            looked = self.server.read
            reading = self.server.reading(row, 1200)
            assert reading is not None
            self.assertEqual({reading.undress(at, KNOWN) for at in range(0, len(row), 1200)}, {None})
            self.assertLessEqual(self.server.read - looked, most)

    @at_least(2000)
    @given(st.binary(max_size=300), st.integers(1, 300), st.booleans())
    def test_garbage(self, data: bytes, size: int, at_client: bool) -> None:
        """Whatever came, nothing raises, and what shows no known id is nothing."""
        self.assertIsNone((client() if at_client else server()).take(data, size, KNOWN))
        reading = (client() if at_client else server()).reading(data, size)
        if reading is not None:
            for at in range(0, len(data), size):
                self.assertIsNone(reading.undress(at, KNOWN))

    @at_least(2000)
    @given(st.data())
    def test_bent(self, chance: st.DataObject) -> None:
        """With any bytes of it changed or cut off, what is ours comes back changed, or is nothing; nothing raises."""
        flow, end = client().flow(), server()
        shape: Shape = flow if chance.draw(st.booleans()) else flow.flow()
        dressed, size = sent(shape, sealed(1), padding=5)
        bent = bytearray(dressed)
        for _ in range(chance.draw(st.integers(1, 4))):
            bent[chance.draw(st.integers(0, size - 1))] ^= chance.draw(st.integers(1, 255))
        del bent[chance.draw(st.integers(8, size)) :]
        reading = end.reading(bent, len(bent))
        found = reading.undress(0, KNOWN) if reading is not None else None
        if found is not None:
            self.assertEqual((found[2], len(found[0])), (len(bent), found[1]))
