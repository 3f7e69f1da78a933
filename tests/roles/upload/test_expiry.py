"""Which uploads are over."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.upload.expiry import Patience, over
from morphnet.roles.upload.parts import part_path
from morphnet.store.base import UploadRecord
from morphnet.store.memory_uploads import MemoryUploads
from morphnet.store.vault import Vault


class ExpiryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.uploads, self.vault = MemoryUploads(), Vault(Path(self.mktemp()))

    def begin(self, path: str, created: int, completed: int = 0, lasts: int = 0) -> None:
        self.successResultOf(self.uploads.begin(UploadRecord(path, 1, "", "", created, completed, lasts_until=lasts)))

    def over(self, now: float, keep: float = 0.0) -> list[str]:
        async def listed() -> list[str]:
            return sorted([each.path async for each in over(self.uploads, self.vault, now, 100.0, keep)])

        return self.successResultOf(Deferred.fromCoroutine(listed()))

    def test_alone(self) -> None:
        """One that is not whole goes by its last byte, a whole one by its time or that of all."""
        self.begin("begun", 1000)
        self.begin("whole", 1000, 1000)
        self.begin("lasts", 1000, 1000, 1150)
        self.assertEqual(self.over(1099.0, 90.0), ["whole"])
        self.assertEqual(self.over(1101.0), ["begun"])
        self.assertEqual(self.over(1151.0), ["begun", "lasts"])
        partial = self.vault.partial("begun")
        partial.close()
        self.assertEqual(self.over(self.vault.touched("begun") + 99.0), ["lasts"])
        self.assertEqual(self.over(self.vault.touched("begun") + 101.0), ["begun", "lasts"])

    def test_parts(self) -> None:
        """A file and its parts last as long as there is a sign of any of them; a file that is whole does not ask."""
        first, second = part_path("a", 0), part_path("a", 5)
        self.begin("a", 1000)
        self.begin(first, 1000, 1050, 1100)
        self.begin(second, 1090)
        self.assertEqual(self.over(1189.0), [])
        self.assertEqual(self.over(1191.0), ["a", first, second])
        self.successResultOf(self.uploads.complete("a", 1060))
        self.assertEqual(self.over(1189.0, 100.0), ["a"])


class PatienceTests(SynchronousTestCase):
    def test_set(self) -> None:
        """What the clock is set forward by is time that nothing has lived through, up to a day; set back, it is not."""
        self.wall = self.steady = 1000.0
        patience = Patience(lambda: self.wall, lambda: self.steady)
        for passes, step, late in (
            (600, 0, 0),
            (600, 30, 0),  # its pace is off
            (600, 3600, 3600),
            (600, -3600, 0),
            (600, -86400, 0),
            (600, 86400, 86400),
            (600, 10**9, 86400),  # a machine that had no clock yet
            (600, -60, 86400),
        ):
            self.steady += passes
            self.wall += passes + step
            self.assertEqual(self.wall - patience.now(), late, step)
