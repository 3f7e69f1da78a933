"""Port mapping: vectors, round trips against the lab's own reading of the two protocols, and bytes that are none."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import BugError, MalformedFrame
from morphnet.lab.portmapper import Leases, PortMapper
from morphnet.wire.pcp import (
    PMP_ADDRESS_REQUEST,
    TCP,
    UDP,
    Answer,
    MapRequest,
    PcpMapping,
    PmpAddress,
    PmpMapping,
    WrongVersion,
    decode_answer,
    encode_pcp,
    encode_pmp,
    refusal,
)

NONCE = bytes(range(1, 13))
REQUEST = MapRequest("192.168.1.2", NONCE, UDP, 5000, 1200, "198.51.100.2", 6000)
PCP_REQUEST = bytes.fromhex(
    "02010000" "000004b0" "00000000000000000000ffffc0a80102"
    "0102030405060708090a0b0c" "11000000" "13881770" "00000000000000000000ffffc6336402"
)  # fmt: skip
PMP_REQUEST = bytes.fromhex("0001000013881770000004b0")
PCP_ANSWER = bytes.fromhex(
    "02810000" "000004b0" "00000e10" "000000000000000000000000"
    "0102030405060708090a0b0c" "11000000" "13881770" "00000000000000000000ffffc6336402"
)  # fmt: skip
ANSWERS: list[tuple[bytes, Answer]] = [
    (PCP_ANSWER, PcpMapping(0, 1200, 3600, NONCE, UDP, 5000, "198.51.100.2", 6000)),
    (bytes.fromhex("0080000000000e10c6336402"), PmpAddress(0, 3600, "198.51.100.2")),
    (bytes.fromhex("0081000000000e1013881770000004b0"), PmpMapping(0, 3600, UDP, 5000, 6000, 1200)),
    (bytes.fromhex("0082000000000e1013881770000004b0"), PmpMapping(0, 3600, TCP, 5000, 6000, 1200)),
    (bytes.fromhex("0082000400000e10"), PmpMapping(4, 3600, TCP, 0, 0, 0)),
    (bytes.fromhex("0080000300000e10"), PmpAddress(3, 3600, "0.0.0.0")),
    (bytes.fromhex("0000000100000e10"), WrongVersion(0)),
    (bytes.fromhex("0081000100000e10"), WrongVersion(0)),
    (bytes.fromhex("018100010000001e00000e10000000000000000000000000"), WrongVersion(1)),
]
U8, U16, U32 = st.integers(0, 255), st.integers(0, 65535), st.integers(0, 2**32 - 1)
HOSTS = st.ip_addresses(v=4).map(str)
RESULTS = st.one_of(st.just(0), st.integers(2, 255))
PROTOCOLS = st.sampled_from((UDP, TCP))
NONCES = st.binary(min_size=12, max_size=12)


def pcp_answer(answer: PcpMapping) -> bytes:
    """What a router would send."""
    head = struct.pack("!BBxBII12x", 2, 0x81, answer.result, answer.lifetime, answer.epoch)
    body = struct.pack("!12sB3xHH", answer.nonce, answer.protocol, answer.inside_port, answer.port)
    return head + body + bytes(10) + b"\xff\xff" + IPv4Address(answer.host).packed


def pmp_answer(answer: PmpAddress | PmpMapping) -> bytes:
    """What a router would send."""
    if isinstance(answer, PmpAddress):
        return struct.pack("!BBHI", 0, 128, answer.result, answer.epoch) + IPv4Address(answer.host).packed
    opcode = 129 if answer.protocol == UDP else 130
    head = struct.pack("!BBHI", 0, opcode, answer.result, answer.epoch)
    return head + struct.pack("!HHI", answer.inside_port, answer.port, answer.lifetime)


class RequestTests(SynchronousTestCase):
    def test_vectors(self) -> None:
        """Both requests, frozen."""
        self.assertEqual(encode_pcp(REQUEST), PCP_REQUEST)
        self.assertEqual(encode_pmp(REQUEST), PMP_REQUEST)
        self.assertEqual(encode_pmp(MapRequest("", b"", TCP, 80, 0)), bytes.fromhex("000200000050000000000000"))

    def test_not_to_be_asked(self) -> None:
        """A nonce of the wrong length, and a protocol that NAT-PMP does not know, are our own mistakes."""
        self.assertRaises(BugError, encode_pcp, MapRequest("192.168.1.2", bytes(11), UDP, 1, 1))
        self.assertRaises(BugError, encode_pmp, MapRequest("192.168.1.2", NONCE, 132, 1, 1))

    @given(HOSTS, NONCES, PROTOCOLS, st.integers(1, 65535), st.integers(1, 65535))
    def test_understood(self, host: str, nonce: bytes, protocol: int, inside: int, outside: int) -> None:
        """The lab's router, which has its own words, understands requests and is understood."""
        request = MapRequest(host, nonce, protocol, inside, 1200, outside_port=outside)
        for encoded in (encode_pcp(request), encode_pmp(request)):
            router = PortMapper("198.51.100.2", Leases(), ("pcp", "pmp"), 0.0)
            answered = router.answer(encoded, host, 77.7)
            assert answered is not None
            answer = decode_answer(answered)
            (made,) = router.leases.mappings()
            self.assertEqual((made.protocol, made.outside_port, made.host, made.port),
                             (protocol, outside, host, inside))  # fmt: skip
            if isinstance(answer, PcpMapping):
                self.assertEqual(answer, PcpMapping(0, 1200, 77, nonce, protocol, inside, "198.51.100.2", outside))
            else:
                self.assertEqual(answer, PmpMapping(0, 77, protocol, inside, outside, 1200))
        self.assertEqual(
            decode_answer(router.answer(PMP_ADDRESS_REQUEST, host, 9.0) or b""), PmpAddress(0, 9, "198.51.100.2")
        )


class AnswerTests(SynchronousTestCase):
    def test_vectors(self) -> None:
        """Each kind of answer, frozen; refusals that end early, and "unsupported version" in any version."""
        for datagram, answer in ANSWERS:
            self.assertEqual(decode_answer(datagram), answer)

    @given(st.builds(PcpMapping, RESULTS, U32, U32, NONCES, U8, U16, HOSTS, U16))
    def test_pcp_round_trip(self, answer: PcpMapping) -> None:
        """What a router says in PCP is what we read, whatever the result; options behind it are skipped."""
        self.assertEqual(decode_answer(pcp_answer(answer)), answer)
        self.assertEqual(decode_answer(pcp_answer(answer) + bytes.fromhex("0200000400000001")), answer)

    @given(
        st.one_of(
            st.builds(PmpAddress, RESULTS, U32, HOSTS), st.builds(PmpMapping, RESULTS, U32, PROTOCOLS, U16, U16, U32)
        )
    )
    def test_pmp_round_trip(self, answer: PmpAddress | PmpMapping) -> None:
        """What a router says in NAT-PMP is what we read, whatever the result."""
        self.assertEqual(decode_answer(pmp_answer(answer)), answer)

    @given(st.one_of(st.binary(max_size=80), st.binary(max_size=78).map(lambda tail: b"\x02\x81" + tail)))
    def test_junk(self, junk: bytes) -> None:
        """Arbitrary bytes are an answer or a MalformedFrame, nothing else."""
        try:
            decode_answer(junk)
        except MalformedFrame:
            pass

    @given(st.integers(0, len(PCP_ANSWER) * 8 - 1))
    def test_bent(self, bit: int) -> None:
        """A flipped bit gives another answer or a MalformedFrame."""
        bent = bytearray(PCP_ANSWER)
        bent[bit // 8] ^= 1 << bit % 8
        try:
            decode_answer(bytes(bent))
        except MalformedFrame:
            pass

    def test_refused(self) -> None:
        """Cut short, too long, a request, another opcode or version, an address of IPv6: malformed."""
        pmp = ANSWERS[2][0]
        for wrong in (
            *(PCP_ANSWER[:size] for size in range(60)),
            PCP_ANSWER + b"\0",
            PCP_ANSWER + bytes(1044),
            PCP_REQUEST,
            b"\x02\x82" + PCP_ANSWER[2:],
            b"\x03" + PCP_ANSWER[1:],
            PCP_ANSWER[:44] + bytes(16),
            *(pmp[:size] for size in range(16)),
            ANSWERS[1][0][:11],
            b"\x00\x83" + pmp[2:],
        ):
            self.assertRaises(MalformedFrame, decode_answer, wrong)

    def test_said(self) -> None:
        """Known results have words, unknown ones their number; the protocols do not agree on them."""
        pcp = PcpMapping(8, 0, 0, NONCE, UDP, 1, "", 0)
        self.assertEqual(refusal(pcp), "no resources")
        self.assertEqual(refusal(PmpAddress(3, 0, "0.0.0.0")), "the router has no way out")
        self.assertEqual(refusal(PmpMapping(77, 0, UDP, 0, 0, 0)), "result 77")

    def test_refusal_to_v6(self) -> None:
        """A refusal may carry any address; it is none."""
        answer = decode_answer(PCP_ANSWER[:3] + b"\x08" + PCP_ANSWER[4:44] + bytes(16))
        self.assertEqual(answer, PcpMapping(8, 1200, 3600, NONCE, UDP, 5000, "", 6000))
