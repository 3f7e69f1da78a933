"""Keys and certificates on disk."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.trial.unittest import SynchronousTestCase

from morphnet.durable import make_directory, write_over
from morphnet.errors import ConfigError
from morphnet.pki.files import CA, key_path, load_authority, load_credentials, read_key, write_certificate, write_key
from tests.fakes_pki import NOW, a_client, a_key, an_authority


def mode_of(path: Path) -> int:
    """The permission bits."""
    return path.stat().st_mode & 0o777


class FileTests(SynchronousTestCase):
    def setUp(self) -> None:
        """An own directory; the loosest umask, which must not matter."""
        self.addCleanup(os.umask, os.umask(0))
        self.dir = Path(self.mktemp()) / "pki"
        make_directory(self.dir)

    def test_no_file(self) -> None:
        """A pipe, a device, a directory or nothing in the place of a file is a sentence, at once, in little memory."""
        path = key_path(self.dir, "x")
        os.mkfifo(path)
        for target in ("", "/dev/zero", "/dev/null", str(self.dir)):
            if target:
                path.unlink()
                path.symlink_to(target)
            self.assertIn(str(path), str(self.assertRaises(ConfigError, read_key, self.dir, "x")))

    def _fill(self) -> None:
        write_key(self.dir, CA, a_key(1))
        write_certificate(self.dir, CA, an_authority().certificate)
        write_key(self.dir, "laptop", a_key(78))
        write_certificate(self.dir, "laptop", a_client(an_authority()))

    def test_modes(self) -> None:
        """Keys are for their owner alone, whatever the umask."""
        self._fill()
        write_key(self.dir, "laptop", a_key(78), replace=True)
        self.assertEqual(mode_of(self.dir), 0o700)
        self.assertEqual({each.name: oct(mode_of(each)) for each in self.dir.iterdir() if each.suffix == ".key"},
                         {"ca.key": "0o600", "laptop.key": "0o600"})  # fmt: skip

    def test_never_over_a_key(self) -> None:
        """A key that is there is not lost by accident, and nothing else is left behind."""
        write_key(self.dir, CA, a_key(1))
        self.assertRaises(FileExistsError, write_key, self.dir, CA, a_key(2))
        self.assertEqual(read_key(self.dir, CA).public_key(), a_key(1).public_key())
        self.assertEqual([each.name for each in self.dir.iterdir()], ["ca.key"])

    def test_round_trip(self) -> None:
        """What was written can be used."""
        self._fill()
        found = load_credentials(self.dir, "laptop")
        self.assertIn(b"BEGIN PRIVATE KEY", found.key)
        self.assertNotIn("PRIVATE", repr(found))
        self.assertEqual(a_client(load_authority(self.dir), now=NOW).issuer, an_authority().certificate.subject)

    def test_troubles(self) -> None:
        """Missing, open, broken, of another kind, not matching: each is one sentence with the file's name."""
        self.assertRaises(ConfigError, load_authority, self.dir)
        self._fill()
        key = key_path(self.dir, "laptop")
        key.chmod(0o640)
        self._complains("chmod 600")
        write_over(key, b"garbage", mode=0o600)
        self._complains("no unencrypted key")
        other = rsa.generate_private_key(65537, 2048)
        pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_over(key, pem, mode=0o600)
        self._complains("neither Ed25519")
        write_key(self.dir, "laptop", a_key(5), replace=True)
        self._complains("do not belong together")
        write_over(self.dir / "laptop.pem", b"garbage")
        self._complains("no certificate in PEM")
        (self.dir / "laptop.pem").unlink()
        self._complains("there is no")

    def _complains(self, words: str) -> None:
        trouble = self.assertRaises(ConfigError, load_credentials, self.dir, "laptop")
        self.assertIn(words, str(trouble))
        self.assertNotIn("\n", str(trouble))
