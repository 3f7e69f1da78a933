"""The invitation's line."""

from __future__ import annotations

import base64
import string
import zlib
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError
from morphnet.pki.invitation import PREFIX, Invitation, decode, encode
from tests.fakes_pki import NOW, a_client, a_key, an_authority, an_invitation

LINE = encode(an_invitation(an_authority()))


class InvitationTests(SynchronousTestCase):
    def test_short(self) -> None:
        """It fits a QR code that a terminal can show, and any chat."""
        self.assertLess(len(LINE), 720)

    def test_round_trip(self) -> None:
        """Everything comes back, the key included."""
        made = an_invitation(an_authority())
        read = decode(LINE)
        self.assertEqual(read, made)
        self.assertEqual(read.key.private_bytes_raw(), made.key.private_bytes_raw())
        self.assertEqual((read.name, read.not_after), ("laptop", NOW + 86400))

    @given(
        st.integers(1, 1 << 64), st.from_regex(r"[a-z][a-z0-9-]{0,30}[a-z0-9]", fullmatch=True), st.integers(1, 65535)
    )
    def test_any_network(self, seed: int, name: str, port: int) -> None:
        """The dictionary only shortens: any network's invitation round-trips."""
        authority = an_authority(seed)
        certificate = authority.invite(a_key(seed).public_key(), name, now=NOW)
        made = Invitation(f"{name}.example:{port}", name, a_key(seed), certificate, authority.certificate)
        self.assertEqual(decode(encode(made)), made)

    def test_pasted(self) -> None:
        """Line ends, blanks and capitals do not matter."""
        wrapped = "\n".join(LINE[at : at + 60] for at in range(0, len(LINE), 60))
        for each in (f"  {wrapped}\r\n", LINE.upper(), LINE.replace(":", ": ")):
            self.assertEqual(decode(each), decode(LINE))

    @given(st.integers(0, len(LINE) - 1), st.sampled_from(string.ascii_lowercase + string.digits + ":=-_"))
    def test_any_letter_mangled(self, at: int, letter: str) -> None:
        """One wrong letter, wherever, is refused with the same sentence."""
        if LINE[at] != letter:
            trouble = self.assertRaises(ConfigError, decode, LINE[:at] + letter + LINE[at + 1 :])
            self.assertIn("copy the line again", str(trouble))

    def test_every_cut(self) -> None:
        """A line that lost its end, its begin or its middle is refused."""
        for at in range(len(LINE)):
            self.assertRaises(ConfigError, decode, LINE[:at])
            self.assertRaises(ConfigError, decode, LINE[:at] + LINE[at + 1 :])

    @given(st.text(max_size=100), st.binary(max_size=300))
    def test_garbage(self, text: str, content: bytes) -> None:
        """Any text is refused, also with a right checksum around garbage."""
        packed = zlib.compress(content)[2:-4]
        for body in (content, packed):
            whole = body + zlib.crc32(body).to_bytes(4, "big")
            sealed = PREFIX + base64.b32encode(whole).decode().rstrip("=").lower()
            self.assertRaises(ConfigError, decode, sealed)
        self.assertRaises(ConfigError, decode, text)
        self.assertRaises(ConfigError, decode, PREFIX + text)

    def test_bomb(self) -> None:
        """A line that would unpack to megabytes is refused after a few kilobytes."""
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        body = deflate.compress(bytes(2 << 20)) + deflate.flush()
        letters = base64.b32encode(body + zlib.crc32(body).to_bytes(4, "big")).decode().rstrip("=").lower()
        self.assertLess(len(letters), 8000)
        self.assertRaises(ConfigError, decode, PREFIX + letters)

    def test_other_certificates(self) -> None:
        """A client's certificate is no invitation, and the key must be the certificate's."""
        authority = an_authority()
        client = Invitation("192.0.2.1:8443", "gw", a_key(78), a_client(authority), authority.certificate)
        made = an_invitation(authority)
        stranger = Invitation(made.address, "gw", a_key(5), made.certificate, made.ca)
        for each in (client, stranger):
            self.assertRaises(ConfigError, decode, encode(each))

    def test_hostile(self) -> None:
        """
        Whoever made it may sign what he likes: no name leaves a directory, is more than a word, or is an address; nor
        are server and address anything but what they ought to be. The sentence holds nothing that he wrote.
        """
        authority = an_authority()
        evil = (
            "../../precious/site",
            "a/b",
            "..",
            'x"\n[manhole]',
            "\x1b]0;owned\x07laptop",
            "10.73.0.3",
            "LAPTOP",
            "a b",
        )
        for name in evil:
            told = str(self.assertRaises(ConfigError, decode, encode(an_invitation(authority, name))))
            self.assertEqual(
                told, "this invitation holds a certificate of a name that no machine may have: ask for another one"
            )
        made = an_invitation(authority)
        for address, server in (
            ("192.0.2.1:8443", 'x"\n'),
            ("192.0.2.1:8443", "a b"),
            ('h"\n:1', "gw"),
            ("[::1%x]:1", "gw"),
        ):
            self.assertRaises(ConfigError, decode, encode(replace(made, address=address, server_name=server)))

    def test_of_another_ca(self) -> None:
        """An invitation that the CA in it has not signed is none."""
        made = an_invitation(an_authority())
        self.assertRaises(ConfigError, decode, encode(replace(made, ca=an_authority(2).certificate)))

    def test_no_secret_in_its_picture(self) -> None:
        """What a log would show has no key in it."""
        self.assertNotIn("key", repr(decode(LINE)).lower())
