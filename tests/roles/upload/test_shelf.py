"""What is kept of uploads, and for how long."""

from __future__ import annotations

import errno

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from morphnet.store.vault import Partial
from tests.fakes_upload import NOW, Service, slot

DATA = bytes(range(100))


class ShelfTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.service = Service(self.mktemp())

    def sweep(self) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.service.shelf.sweep(3600.0, 0.0)))

    def test_sweep(self) -> None:
        """Parts of which no byte came for long are let go; whole files stay, and so does what is gone on with."""
        self.service.ask("PUT", slot("s/whole", 100), {}, DATA)
        self.service.cut_put(slot("s/part", 100), {}, 100, DATA[:10])
        self.sweep()
        self.assertEqual(self.service.vault.length("s/part"), 10)
        self.service.now = self.service.vault.touched("s/part") + 3000.0
        self.sweep()
        self.assertEqual(self.service.vault.length("s/part"), 10)
        self.service.now += 3600.0
        self.sweep()
        self.assertEqual(self.service.vault.length("s/part"), 0)
        self.assertEqual(self.service.stored("s/whole"), DATA)
        self.assertEqual(self.service.shelf.counts["uploads_expired"], 1)

    def test_appeared_unrecorded(self) -> None:
        """Ended between the file's appearance and its record: the file is complete all the same."""
        self.service.cut_put(slot("s/a", 100), {}, 100, DATA[:99])
        partial = self.service.vault.partial("s/a")
        partial.append(DATA[99:])
        self.service.vault.finish("s/a", partial)
        partial.close()
        self.assertEqual(self.service.ask("GET", "/up/s/a").body, DATA)
        self.assertEqual(self.service.ask("PUT", slot("s/a", 100), {}, DATA).status, 409)

    def test_full_but_unfinished(self) -> None:
        """Ended between the last byte and the file's appearance: a repeated PUT makes it appear."""
        self.service.cut_put(slot("s/a", 100), {}, 100, DATA[:50])
        partial = self.service.vault.partial("s/a")
        partial.append(DATA[50:])
        partial.close()
        self.assertEqual(self.service.ask("PUT", slot("s/a", 100), {}, DATA).status, 201)
        self.assertEqual(self.service.stored("s/a"), DATA)

    def test_disk_full(self) -> None:
        """A full disk is 507, and the bytes that found room are kept."""

        def full(partial: Partial, data: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        self.service.cut_put(slot("s/a", 100), {}, 100, DATA[:30])
        self.patch(Partial, "append", full)
        answer = self.service.ask("PUT", slot("s/a", 100), {}, DATA)
        self.assertEqual((answer.status, self.service.vault.length("s/a")), (507, 30))
        self.assertGreater(NOW, 0)
