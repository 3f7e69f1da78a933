"""Passkeys: which are kept, and which log in."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError, PeerError, Refused
from morphnet.roles.home import passkeys
from morphnet.roles.home.passkeys import CONTEXT, FILE, MOST, Passkeys, meet
from tests.roles.home.authenticator import Authenticator, Flag

C = b"c" * 32  # a challenge
NAMES = ("id", "rawId", "type", "response", "clientDataJSON", "authenticatorData", "signature", "attestationObject")
TOLD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.sampled_from(NAMES), each),
)


class PasskeyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.told: list[str] = []
        self.passkeys = self.open()

    def open(self, page: str = "https://c.example") -> Passkeys:
        passkeys = Passkeys(self.directory, page, lambda: 1234.5)
        passkeys.told = self.told.append
        return passkeys

    def added(self, count: int = 0) -> Authenticator:
        device = Authenticator(count=count)
        self.passkeys.add(C, device.make(C), "my phone")
        return device

    def refused(self, device: Authenticator, challenge: bytes = C) -> str:
        return str(self.assertRaises(Refused, self.passkeys.prove, challenge, device.sign(C)))

    def test_kept(self) -> None:
        """A public key, for its owner alone to read, which is known again after a restart."""
        device = self.added()
        again = self.open()
        self.assertEqual(again.prove(C, device.sign(C)).name, "my phone")
        self.assertEqual((self.directory / FILE).stat().st_mode & 0o777, 0o600)
        self.assertEqual([each["added_at"] for each in json.loads((self.directory / FILE).read_text())], [1234])
        self.assertEqual(self.told, ["my phone may log in"])

    def test_removed(self) -> None:
        """It logs in no more, after a restart neither."""
        device = self.added()
        self.passkeys.remove(next(iter(self.passkeys.all)))
        self.assertEqual(self.refused(device), "this passkey is not known here")
        self.assertEqual(self.open().all, {})
        self.assertRaises(Refused, self.passkeys.remove, "x")

    def test_wrong(self) -> None:
        """Another challenge, site, origin, device or key; nobody before it; an owner who did not unlock it."""
        device = self.added()
        self.assertEqual(self.refused(device, b"d" * 32), "this passkey is not known here")
        self.refused(Authenticator())
        for name, wrong in (
            ("origin", "https://evil.example"),
            ("origin", "https://c.example:8443"),
            ("site", "evil.example"),
            ("flags", Flag.UP),
            ("flags", Flag.UV),
            ("_key", ec.generate_private_key(ec.SECP256R1())),
        ):
            good = getattr(device, name)
            setattr(device, name, wrong)
            self.refused(device)
            setattr(device, name, good)
        made = device.make(C)
        self.assertRaises(Refused, self.passkeys.prove, C, made)
        self.passkeys.prove(C, device.sign(C))

    def test_wrong_at_first(self) -> None:
        """What does not belong to this site, or to what was asked, is not kept."""
        for device in (Authenticator(origin="https://evil.example"), Authenticator(site="evil.example")):
            self.assertRaises(Refused, self.passkeys.add, C, device.make(C), "x")
        device = Authenticator()
        self.assertRaises(Refused, self.passkeys.add, b"d" * 32, device.make(C), "x")
        self.assertRaises(Refused, self.passkeys.add, C, device.sign(C), "x")
        self.assertEqual(self.passkeys.all, {})

    def test_copied(self) -> None:
        """A device that counts its signatures never counts back."""
        device = self.added(count=5)
        for _ in range(2):
            self.passkeys.prove(C, device.sign(C))
        device.count = 5
        self.assertEqual(self.refused(device), "this passkey has been copied")
        self.passkeys = self.open()
        device.count = 6
        self.assertEqual(self.refused(device), "this passkey has been copied")

    def test_full_disk(self) -> None:
        """What cannot be kept is refused, and nothing has changed; who is in is in, and his device's count is known."""
        device, plain = self.added(count=5), self.added()
        before = [*self.passkeys.all]

        def full(path: Path, content: bytes, *, mode: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        self.told.clear()
        self.patch(passkeys, "write_over", full)
        for doing in (self.added, lambda: self.passkeys.remove(before[0])):
            self.assertEqual(str(self.assertRaises(Refused, doing)), "that cannot be kept: the disk is full")
            self.assertEqual((self.told, [*self.passkeys.all], [*self.open().all]), ([], before, before))
        self.passkeys.prove(C, plain.sign(C))  # nothing is written
        self.assertEqual(self.told, [])
        self.passkeys.prove(C, device.sign(C))
        self.assertEqual(self.told, ["the count of my phone: that cannot be kept: the disk is full"])
        device.count = 5
        self.assertEqual(self.refused(device), "this passkey has been copied")

    def test_long_id(self) -> None:
        """An id is as long as the standard lets it be, at the most: all of them go into one answer."""
        device = Authenticator()
        device.id = bytes(1024)
        self.assertRaises(Refused, self.passkeys.add, C, device.make(C), "x")
        device.id = bytes(1023)
        self.passkeys.add(C, device.make(C), "x")

    def test_other_coordinator(self) -> None:
        """At another coordinator that the home knows another passkey is good: each for its own site."""
        pages = ["https://203.0.113.1", "https://d.example:8443"]
        self.passkeys = Passkeys(self.directory, "https://c.example", lambda: 1.0, lambda: pages)
        there, here = Authenticator("https://d.example:8443", "d.example"), self.added()
        self.passkeys.add(C, there.make(C), "there")
        for device in (here, there):
            self.passkeys.prove(C, device.sign(C))
        there.site = "c.example"
        self.refused(there)
        there.site = "d.example"
        pages.clear()
        self.refused(there)

    def test_most(self) -> None:
        """There is an end to them; names are short, and steer no terminal."""
        for _ in range(MOST):
            self.added()
        self.assertRaises(Refused, self.added)
        self.passkeys.remove(next(iter(self.passkeys.all)))
        device = Authenticator()
        self.assertEqual(self.passkeys.add(C, device.make(C), "\x1b[2J" + "n" * 99).name, "?[2J" + "n" * 56)

    def test_page(self) -> None:
        """Where no browser takes one, or the file is damaged, the operator is told."""
        for page in ("https://203.0.113.1", "https://[2001:db8::1]/", "http://c.example", ""):
            self.assertRaises(ConfigError, self.open, page)
        self.open("https://c.example:8443/")
        for damaged in ("{", "[{}]", "7", "[" * 100_000):
            (self.directory / FILE).write_text(damaged)
            self.assertRaises(ConfigError, self.open)

    @given(TOLD)
    def test_anything(self, told: object) -> None:
        """Whatever a browser says: it is refused."""
        self.assertRaises(PeerError, self.passkeys.prove, C, told)
        self.assertRaises(PeerError, self.passkeys.add, C, told, "x")


class MeetTests(SynchronousTestCase):
    def test_challenge(self) -> None:
        """It is another one for another home, either half, or another offer, as its fingerprint is in it."""
        halves = []
        for _ in range(2):
            key = ec.generate_private_key(ec.SECP256R1())
            halves.append(key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
        meetings = [meet(halves[0], "home")[1], meet(halves[0], "home")[1], meet(halves[1], "home")[1]]
        found = {meeting.challenge(offer) for meeting in meetings for offer in ("a", "b")}
        self.assertEqual((len(found), len({meeting.shared for meeting in meetings})), (6, 3))
        second, meeting = meet(halves[0], "other")
        self.assertEqual(meeting.said, b"other" + halves[0] + second)
        self.assertTrue(CONTEXT.endswith(b"\0"))

    def test_no_point(self) -> None:
        """What is no point of the curve."""
        for wrong in (b"", os.urandom(65), b"\4" + bytes(64), b"\0"):
            self.assertRaises(ValueError, meet, wrong, "home")
