"""Probes: vectors, round trips, and what opens nothing."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import Forged, MalformedFrame, PeerError
from morphnet.wire.probes import (
    ANSWER,
    ASK,
    EXPORT_LENGTH,
    LENGTH,
    Probe,
    open_probe,
    seal_probe,
    split_probe_export,
)

EXPORTED = bytes(range(EXPORT_LENGTH))
CALLER, CALLED = split_probe_export(EXPORTED, caller=True), split_probe_export(EXPORTED, caller=False)
NONCE = b"twelve bytes"
QUESTION = Probe(ASK, b"transact", "", 0)
ANSWER4, ANSWER6 = Probe(ANSWER, b"transact", "203.0.113.9", 4500), Probe(ANSWER, b"transact", "2001:db8::9", 4501)
VECTORS = {
    QUESTION: bytes.fromhex(
        "00010203040506077477656c766520627974657333f188bb2270302fd58f561e"
        "1fe6d1c1ba0a216b5560c97e9ac51b03b843d837a45564b98644d4cab8c6b96a"
    ),
    ANSWER4: bytes.fromhex(
        "00010203040506077477656c766520627974657330f188bb2270302fd58b9d1e"
        "6eefd1c1ba0a216b5560c97e9ac50a977c77142a71de76729ca608f0fc58bc4e"
    ),
    ANSWER6: bytes.fromhex(
        "00010203040506077477656c766520627974657330f188bb2270302fd59f761f"
        "125ed1c1ba0a216b5560c97e9acc0a96c1430a709e6330d4f91e3d5da02b449b"
    ),
}
PROBES = st.builds(
    Probe,
    st.sampled_from((ASK, ANSWER)),
    st.binary(min_size=8, max_size=8),
    st.just("") | st.ip_addresses().map(str),
    st.integers(0, 65535),
)
NONCES = st.binary(min_size=12, max_size=12)


class ProbeTests(SynchronousTestCase):
    def test_vectors(self) -> None:
        """A question and an answer of each family, frozen, sealed by the caller."""
        for probe, datagram in VECTORS.items():
            self.assertEqual(seal_probe(CALLER, probe, NONCE), datagram)
            self.assertEqual(open_probe(CALLED, datagram), probe)

    @given(PROBES, NONCES)
    def test_round_trip(self, probe: Probe, nonce: bytes) -> None:
        """Each end opens what the other has sealed; all have the same length and start with the id."""
        for sender, receiver in ((CALLER, CALLED), (CALLED, CALLER)):
            datagram = seal_probe(sender, probe, nonce)
            self.assertEqual((len(datagram), datagram[:8]), (LENGTH, CALLER.id))
            self.assertEqual(open_probe(receiver, datagram), probe)

    def test_length(self) -> None:
        """A probe has 64 bytes, as long as an echo."""
        self.assertEqual(LENGTH, 64)

    def test_bent(self) -> None:
        """A probe with any bit flipped, but for the id by which it is found, is refused."""
        for datagram in VECTORS.values():
            for bit in range(64, 8 * LENGTH):
                bent = bytearray(datagram)
                bent[bit // 8] ^= 1 << bit % 8
                self.assertRaises(Forged, open_probe, CALLED, bytes(bent))

    def test_other_id(self) -> None:
        """A probe of another pair of peers is refused, whatever id it is given."""
        other = split_probe_export(bytes(EXPORT_LENGTH), caller=True)
        datagram = seal_probe(other, QUESTION, NONCE)
        self.assertRaises(Forged, open_probe, CALLED, datagram)
        self.assertRaises(Forged, open_probe, CALLED, CALLED.id + datagram[8:])

    @given(PROBES, NONCES)
    def test_sent_back(self, probe: Probe, nonce: bytes) -> None:
        """A probe that is sent back to its sender opens nothing."""
        for keys in (CALLER, CALLED):
            self.assertRaises(Forged, open_probe, keys, seal_probe(keys, probe, nonce))

    @given(st.binary(max_size=100))
    def test_junk(self, junk: bytes) -> None:
        """Arbitrary bytes are refused, by their length or as forged."""
        self.assertRaises(MalformedFrame if len(junk) != LENGTH else Forged, open_probe, CALLED, junk)

    def test_nonsense_of_the_peer(self) -> None:
        """A peer that seals another kind or family is refused."""
        for kind, size in ((0, 0), (3, 0), (255, 4), (ASK, 5), (ANSWER, 255)):
            inside = bytes((kind,)) + b"transact" + bytes((size,)) + bytes(18)
            datagram = CALLER.id + NONCE + CALLER.sending.encrypt(NONCE, inside, CALLER.id)
            self.assertRaises(MalformedFrame, open_probe, CALLED, datagram)

    @given(st.binary(min_size=28, max_size=28))
    def test_anything_of_the_peer(self, inside: bytes) -> None:
        """Whatever a peer seals is a probe with an address that parses, or a PeerError."""
        datagram = CALLER.id + NONCE + CALLER.sending.encrypt(NONCE, inside, CALLER.id)
        try:
            probe = open_probe(CALLED, datagram)
        except PeerError:
            return
        self.assertIsInstance(IPv6Address(probe.host) if ":" in probe.host else IPv4Address(probe.host or "0.0.0.0"),
                              IPv4Address | IPv6Address)  # fmt: skip

    def test_keys_are_not_shown(self) -> None:
        """Keys do not print themselves."""
        self.assertNotIn("AESGCM", repr(CALLER))
