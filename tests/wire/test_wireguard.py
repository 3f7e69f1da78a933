"""What a WireGuard is told, and what it tells."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError, MalformedFrame
from morphnet.wire.wireguard import (
    Changes,
    Peer,
    Seen,
    Told,
    decode_done,
    decode_told,
    difference,
    encode_set,
    key_bytes,
    private_key,
    public_key,
)

# By `wg genkey` and `wg pubkey`.
PRIVATE, PUBLIC = "yGa2TqlBFPfPXz1tGnPJfdIWj16xcxDZD/rVk/RjiWw=", "PnsokaP7vlwoq7LcKQ1emb1y/sA2xixz/RIvB0WtO2U="
ONE, TWO, SHARED = (base64.b64encode(bytes([number] * 32)).decode() for number in (0x11, 0x22, 0x33))
PHONE = Peer(ONE, SHARED, ("10.73.0.5/32", "fd73::5/128"))

# As Debian's wireguard-go has answered.
ANSWER = b"""\
private_key=1011111111111111111111111111111111111111111111111111111111111151
listen_port=51820
public_key=1111111111111111111111111111111111111111111111111111111111111111
preshared_key=3333333333333333333333333333333333333333333333333333333333333333
protocol_version=1
endpoint=198.51.100.6:40123
last_handshake_time_sec=1800000000
last_handshake_time_nsec=5
tx_bytes=92
rx_bytes=180
persistent_keepalive_interval=0
allowed_ip=fd73::5/128
allowed_ip=10.73.0.5/32
public_key=2222222222222222222222222222222222222222222222222222222222222222
preshared_key=0000000000000000000000000000000000000000000000000000000000000000
last_handshake_time_sec=0
last_handshake_time_nsec=0
tx_bytes=0
rx_bytes=0
errno=0

"""


class KeyTests(SynchronousTestCase):
    def test_vector(self) -> None:
        """The public key is the one that WireGuard's own tool makes."""
        self.assertEqual(public_key(PRIVATE), PUBLIC)

    def test_one_form(self) -> None:
        """A private key is as a device gives it back, so that it is not set again and again."""
        self.assertEqual(key_bytes(private_key(bytes([0x11] * 32))).hex(), "10" + "11" * 30 + "51")
        self.assertEqual(key_bytes(private_key(bytes([0xFF] * 32))).hex(), "f8" + "ff" * 30 + "7f")

    def test_none(self) -> None:
        """What is no key is told so, and is not in the sentence."""
        for text in ("", "secret", PRIVATE[:-4], PRIVATE + "AAAA"):
            self.assertNotIn("secret", str(self.assertRaises(MalformedFrame, key_bytes, text)))

    def test_not_shown(self) -> None:
        """Secrets are in no log, whoever logs one of these."""
        shown = f"{PHONE!r} {Told(PRIVATE)!r} {Changes(PRIVATE)!r}"
        self.assertNotIn(SHARED, shown)
        self.assertNotIn(PRIVATE, shown)


class SaidTests(SynchronousTestCase):
    def test_told(self) -> None:
        """What a device tells is read, its peers each with what was seen of it."""
        told = decode_told(ANSWER)
        self.assertEqual((key_bytes(told.private_key)[0], told.port), (0x10, 51820))
        self.assertEqual(
            told.peers,
            (Seen(PHONE, "198.51.100.6:40123", 1800000000, 180, 92), Seen(Peer(TWO, "", ()))),
        )

    def test_set(self) -> None:
        """A request names each peer once: those that go, then those that are put."""
        text = encode_set(Changes(PRIVATE, 51820, (TWO,), (PHONE,))).decode()
        keys = " ".join(line.partition("=")[0] for line in text.split())
        put = "public_key preshared_key persistent_keepalive_interval replace_allowed_ips allowed_ip allowed_ip"
        self.assertEqual(keys, f"set private_key listen_port public_key remove {put}")
        called = encode_set(Changes(put=(Peer(ONE, SHARED, (), 5, "192.0.2.1:1"),)))
        self.assertIn(b"\nendpoint=192.0.2.1:1\npersistent_keepalive_interval=5\n", called)
        self.assertTrue(text.endswith("\n\n"))
        self.assertEqual(encode_set(Changes()), b"set=1\n\n")

    def test_done(self) -> None:
        """An errno is told; an answer without its end is none."""
        decode_done(b"errno=0\n\n")
        self.assertIn("-22", str(self.assertRaises(HostError, decode_done, b"errno=-22\n\n")))
        self.assertRaises(MalformedFrame, decode_done, b"listen_port=1\n")

    @given(st.binary(max_size=200), st.integers(0, len(ANSWER)))
    def test_anything(self, junk: bytes, at: int) -> None:
        """Whatever comes is an answer, or is told to be none."""
        try:
            decode_told(ANSWER[:at] + junk + ANSWER[at:])
        except (MalformedFrame, HostError):
            pass


class DifferenceTests(SynchronousTestCase):
    def test_nothing(self) -> None:
        """A device that is as it is wanted is left alone, whatever has come of its peers."""
        told = Told(PRIVATE, 51820, (Seen(PHONE, "192.0.2.1:1", 5, 6, 7),))
        self.assertFalse(difference(PRIVATE, 51820, [PHONE], told))

    def test_each(self) -> None:
        """What is other is set: a port, a key, a peer that comes, goes or has other addresses."""
        other = Peer(TWO, SHARED, ("10.73.0.6/32",))
        moved = Peer(ONE, SHARED, ("10.73.0.7/32",))
        told = Told(PRIVATE, 51820, (Seen(PHONE),))
        self.assertEqual(difference(PRIVATE, 51820, [PHONE, other], told), Changes(put=(other,)))
        self.assertEqual(difference(PRIVATE, 51820, [], told), Changes(gone=(ONE,)))
        self.assertEqual(difference(PRIVATE, 51820, [moved], told), Changes(put=(moved,)))
        self.assertEqual(difference(ONE, 443, [PHONE], told), Changes(ONE, 443))
        self.assertEqual(difference(PRIVATE, 51820, [PHONE], Told()), Changes(PRIVATE, 51820, (), (PHONE,)))
