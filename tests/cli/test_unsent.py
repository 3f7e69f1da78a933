"""What is kept of an upload that has not ended."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.cli.unsent import Unsent, home
from morphnet.errors import HostError


class UnsentTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.there = Path(self.mktemp())

    def unsent(self, size: int = 5, mtime_ns: int = 7) -> Unsent:
        return Unsent(self.there, ("url", "bob", "/f"), size, mtime_ns)

    def test_goes_on(self) -> None:
        """The same file has the same address until it has arrived; nobody else may read it."""
        with self.unsent() as first:
            pass
        (file,) = self.there.iterdir()
        self.assertEqual((file.stat().st_mode & 0o777, len(first.slot)), (0o600, 32))
        with self.unsent() as second:
            second.done()
        self.assertEqual((second.slot, second.changed, list(self.there.iterdir())), (first.slot, False, []))

    def test_changed(self) -> None:
        """Another size or time is another file; a record that was cut short is none."""
        slots = set[str]()
        for size, mtime_ns in ((5, 7), (6, 7), (6, 8)):
            with self.unsent(size, mtime_ns) as each:
                slots.add(each.slot)
        self.assertTrue(each.changed)
        (file,) = self.there.iterdir()
        file.write_bytes(file.read_bytes()[:20])
        with self.unsent(6, 8) as each:
            slots.add(each.slot)
        self.assertEqual((len(slots), each.changed), (4, False))
        file.write_bytes(b"[" * 4096)
        with self.unsent(6, 8) as each:
            self.assertNotIn(each.slot, slots)

    def test_one_at_a_time(self) -> None:
        """A second command for the same file is told so."""
        with self.unsent(), self.assertRaisesRegex(HostError, "another"):
            self.unsent().__enter__()

    def test_home(self) -> None:
        """Where the user's programs keep their state."""
        self.patch(__import__("os"), "environ", {"XDG_STATE_HOME": "/x"})
        self.assertEqual(home(), Path("/x/morphnet/uploads"))
