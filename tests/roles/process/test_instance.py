"""What a process calls itself."""

from __future__ import annotations

import shutil
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.rendezvous.rivals import is_same_machine
from morphnet.roles.process.instance import new_instance


class InstanceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.state_dir, self.boot_id = Path(self.mktemp()), Path(self.mktemp())
        self.state_dir.mkdir()
        self.boot_id.write_text("6f2b3c9e\n")
        self.count = 0

    def entropy(self, size: int) -> bytes:
        """Something else each time."""
        self.count += 1
        return bytes([self.count] * size)

    def instance(self) -> str:
        """Of one more process."""
        return new_instance(self.state_dir, self.entropy, self.boot_id)

    def test_started_anew(self) -> None:
        """The next process of the same place is another one, of the same machine."""
        first, second = self.instance(), self.instance()
        self.assertNotEqual(first, second)
        self.assertTrue(is_same_machine(first, second))
        self.assertEqual((len(first), len(second)), (16, 16))

    def test_copies(self) -> None:
        """A copy of the directory is another machine, and so is the same one on a machine that was started anew."""
        first = self.instance()
        self.boot_id.write_text("6f2b3c9f\n")
        self.assertFalse(is_same_machine(first, self.instance()))
        self.boot_id.write_text("6f2b3c9e\n")
        original, self.state_dir = self.state_dir, Path(self.mktemp())
        shutil.copytree(original, self.state_dir)
        self.assertFalse(is_same_machine(first, self.instance()))

    def test_untold(self) -> None:
        """Where the machine does not tell, no two are the same."""
        for missing in (self.boot_id, self.state_dir):
            shutil.rmtree(missing) if missing.is_dir() else missing.unlink()
            self.assertFalse(is_same_machine(self.instance(), self.instance()))
