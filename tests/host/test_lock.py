"""One process at a time."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.host.lock import Lock


class LockTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp(), "journal")
        self.lock, self.other = Lock(self.path), Lock(self.path)

    def test_one(self) -> None:
        """Who holds it is the only one, may take it again, and it is free when he lets go."""
        self.lock.hold()
        self.lock.hold()
        with self.assertRaisesRegex(HostError, "in use by another morphnet; stop that one first"):
            self.other.hold()
        self.lock.release()
        self.lock.release()
        self.other.hold()
        self.other.release()

    def test_beside(self) -> None:
        """It is a file of its own, for nobody else to read, and what it stands for may be replaced."""
        self.lock.hold()
        self.addCleanup(self.lock.release)
        (file,) = self.path.parent.iterdir()
        self.assertEqual((file.name, file.stat().st_mode & 0o777), ("journal.lock", 0o600))

    def test_link(self) -> None:
        """A link that somebody put in its place leads nowhere."""
        self.path.parent.mkdir(parents=True)
        os.symlink("/dev/null", self.path.with_name("journal.lock"))
        self.assertRaises(HostError, self.lock.hold)
