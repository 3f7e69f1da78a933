"""A signature by a process of its own, which alone reads the CA's key."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.durable import make_directory
from morphnet.errors import ConfigError, HostError, Refused
from morphnet.pki.asking import Signers
from morphnet.pki.authority import DAY, describe, make_request, read_description
from morphnet.pki.files import CA, certificate_path, key_path, write_certificate, write_key
from morphnet.pki.revocations import draft_revocations, read_revocations
from tests.fakes_pki import a_key, an_authority, an_invitation


class SignersTests(SynchronousTestCase):
    def setUp(self) -> None:
        """A CA on the disk; its certificates are made now, for the signer looks at the real clock."""
        self.root = Path(self.mktemp()).absolute()
        self.pki_dir, self.door = self.root / "pki", self.root / "door"
        make_directory(self.pki_dir)
        self.authority = an_authority(now=time.time() - DAY)
        write_key(self.pki_dir, CA, a_key(1))
        write_certificate(self.pki_dir, CA, self.authority.certificate)
        self.invitation = describe(an_invitation(self.authority, now=time.time()).certificate)
        self.now = time.time()

    def _signers(self) -> Signers:
        return Signers(self.pki_dir, self.root / "state", self.door)

    def _join(self, signers: Signers) -> str:
        return signers.join(self.invitation.pem, make_request(a_key(9), "laptop"), ["10.73.0.2"]).pem

    def test_started(self) -> None:
        """Who may read the key starts the signer; what it refuses is refused, and the book outlives it."""
        found = read_description(self._join(self._signers()))
        self.assertEqual((found.name, found.addresses), ("laptop", ("10.73.0.2",)))
        refused = self.assertRaises(Refused, self._join, self._signers())
        self.assertEqual(refused.reason, "this invitation was used, revoked or has expired")

    def test_revocations(self) -> None:
        """A list of revocations is signed in the same way."""
        signed = self._signers().sign_revocations(draft_revocations({"ab": 5}, None, now=self.now))
        self.assertEqual(read_revocations(signed.pem, self.authority.certificate).serials, signed.serials)
        self.assertEqual(signed.serials, {"ab"})

    def test_broken(self) -> None:
        """A CA that is none is told to the operator, not to the machine."""
        write_key(self.pki_dir, CA, a_key(2), replace=True)
        trouble = self.assertRaises(ConfigError, self._join, self._signers())
        self.assertIn("do not belong together", str(trouble))
        key_path(self.pki_dir, CA).unlink()
        self.assertRaises(ConfigError, self._signers)

    def _apart(self) -> None:
        """The CA's files as the units of systemd put them."""
        apart = self.root / CA
        make_directory(apart)
        for path in (key_path, certificate_path):
            path(self.pki_dir, CA).rename(path(apart, CA))

    def test_apart(self) -> None:
        """The CA's files may be in a directory of their own, where one in the machine's directory counts no more."""
        self._apart()
        write_key(self.pki_dir, CA, a_key(3))
        self.assertEqual(read_description(self._join(self._signers())).name, "laptop")

    def test_by_the_socket(self) -> None:
        """Who may not read the key asks at the socket, which starts the same program, as another user."""
        if os.geteuid() == 0:
            self.patch(os, "access", lambda path, mode: False)
        self._apart()
        trouble = self.assertRaises(ConfigError, self._join, self._signers())
        self.assertIn("morph-signer.socket", str(trouble))
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
            listening.bind(str(self.door))
            listening.listen()
            serving = threading.Thread(target=self._serve, args=(listening, 2))
            serving.start()
            self.assertEqual(read_description(self._join(self._signers())).name, "laptop")
            self.assertRaises(Refused, self._join, self._signers())
            serving.join(30)
        self.assertRaises(HostError, self._join, self._signers())

    def _serve(self, listening: socket.socket, times: int) -> None:
        """What systemd does with Accept=yes."""
        for _ in range(times):
            caller, _ = listening.accept()
            with caller:
                words = [sys.executable, "-m", "morphnet.pki.signer", str(self.root / CA), str(self.root / "book")]
                subprocess.run(words, stdin=caller.fileno(), stdout=caller.fileno(), check=True, timeout=30)
