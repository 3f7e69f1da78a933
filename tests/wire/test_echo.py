"""The echo of a relay: vectors, round trips, and datagrams that were not made with the key."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import Forged, MalformedFrame
from morphnet.wire.echo import LENGTH, Echoed, _seal, id_of, make_answer, make_request, read_answer, read_request

ID, KEY, TRANSACTION = b"idididid", bytes(range(32)), b"transact"
REQUEST = bytes.fromhex(
    "69646964696469647472616e7361637403000000000000000000000000000000"
    "0000000000000000000000000000000047e30c15661f89a6f7b74d78cc141369"
)
ANSWER4 = bytes.fromhex(
    "69646964696469647472616e7361637404cb0071090000000000000000000000"
    "00119400000000000000000000000000745cd297332030d4585a199482a53a13"
)
ANSWER6 = bytes.fromhex(
    "69646964696469647472616e736163741020010db80000000000000000000000"
    "09119500000000000000000000000000713ff4846f9f331c0f4ea1e69cce2ca3"
)


class EchoTests(SynchronousTestCase):
    def test_vectors(self) -> None:
        """A request and an answer of each family, frozen."""
        self.assertEqual(make_request(ID, KEY, TRANSACTION, 3), REQUEST)
        self.assertEqual(make_answer(ID, KEY, TRANSACTION, "203.0.113.9", 4500), ANSWER4)
        self.assertEqual(make_answer(ID, KEY, TRANSACTION, "2001:db8::9", 4501), ANSWER6)
        self.assertEqual(read_request(REQUEST, KEY), (TRANSACTION, 3, 0))
        self.assertEqual(read_answer(ANSWER4, KEY), Echoed(TRANSACTION, "203.0.113.9", 4500))
        self.assertEqual(read_answer(ANSWER6, KEY), Echoed(TRANSACTION, "2001:db8::9", 4501))
        self.assertEqual({id_of(each) for each in (REQUEST, ANSWER4, ANSWER6)}, {ID})

    @given(
        st.tuples(st.binary(min_size=8, max_size=8), st.integers(0, 255), st.integers(0, (1 << 64) - 1)),
        st.ip_addresses(),
        st.integers(0, 65535),
    )
    def test_round_trip(self, asked: tuple[bytes, int, int], host: IPv4Address | IPv6Address, port: int) -> None:
        """Requests and answers come out as they went in; both have the same length, so nothing is amplified."""
        transaction = asked[0]
        request = make_request(ID, KEY, *asked)
        answer = make_answer(ID, KEY, transaction, str(host), port)
        self.assertEqual(read_request(request, KEY), asked)
        self.assertEqual(read_answer(answer, KEY), Echoed(transaction, str(host), port))
        self.assertEqual((len(request), len(answer)), (LENGTH, LENGTH))

    def test_bent(self) -> None:
        """A request or an answer with any bit flipped is refused."""
        for whole, read in ((REQUEST, read_request), (ANSWER4, read_answer), (ANSWER6, read_answer)):
            for bit in range(8 * LENGTH):
                bent = bytearray(whole)
                bent[bit // 8] ^= 1 << bit % 8
                self.assertRaises(Forged, read, bytes(bent), KEY)

    def test_returned(self) -> None:
        """A request is no answer and an answer no request, though the key is the same."""
        self.assertRaises(Forged, read_answer, REQUEST, KEY)
        self.assertRaises(Forged, read_request, ANSWER4, KEY)

    def test_other_key(self) -> None:
        """What was made with another key is refused."""
        self.assertRaises(Forged, read_request, REQUEST, bytes(32))
        self.assertRaises(Forged, read_answer, ANSWER4, bytes(32))

    @given(st.binary(max_size=80))
    def test_length(self, junk: bytes) -> None:
        """Only 64 bytes are looked at any further."""
        if len(junk) == LENGTH:
            self.assertEqual(id_of(junk), junk[:8])
        else:
            self.assertRaises(MalformedFrame, id_of, junk)

    @given(st.binary(min_size=64, max_size=64))
    def test_junk(self, junk: bytes) -> None:
        """Arbitrary bytes are forged."""
        self.assertRaises(Forged, read_request, junk, KEY)
        self.assertRaises(Forged, read_answer, junk, KEY)

    def test_no_family(self) -> None:
        """An answer of a relay that speaks of another family than ours is malformed."""
        for size in (0, 5, 255):
            answer = _seal(KEY, b"!", ID + TRANSACTION + bytes((size,)) + bytes(18))
            self.assertRaises(MalformedFrame, read_answer, answer, KEY)
