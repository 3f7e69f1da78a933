"""Long uploads on their way to the disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.upload import ahead
from morphnet.roles.upload.ahead import Ahead
from morphnet.store.vault import Vault


class AheadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(ahead, "EVERY", 100)
        self.vault = Vault(Path(self.mktemp()))
        self.works = list[tuple[Callable[[], None], Deferred[None]]]()
        self.elsewhere = set[str]()
        self.ahead = Ahead(self.beside, self.elsewhere)

    def beside(self, work: Callable[[], None]) -> Deferred[None]:
        """It is done later."""
        done: Deferred[None] = Deferred()
        self.works.append((work, done))
        return done

    def work(self) -> None:
        """The first that waits."""
        work, done = self.works.pop(0)
        work()
        done.callback(None)

    def test_by_pieces(self) -> None:
        """As often as there is enough of it; what was begun, or is on the disk, is not begun again."""
        with closing(self.vault.partial("a")) as partial:
            begun = []
            for size in (60, 39, 1, 99, 30):
                partial.append(bytes(size))
                self.ahead.wrote("a", partial)
                begun.append(partial.begun)
                while self.works:
                    self.work()
            self.assertEqual(begun, [0, 0, 100, 100, 229])
            partial.append(bytes(99))
            partial.sync()
            partial.append(bytes(99))
            self.ahead.wrote("a", partial)
            self.assertEqual((partial.begun, self.works), (328, []))
            partial.cut_to(10)
            self.assertEqual(partial.begun, 10)

    def test_few_at_once(self) -> None:
        """Others wait until one is done; so does one to which a thread writes, as long as it does."""
        partials = {name: self.vault.partial(name) for name in "abcd"}
        self.elsewhere.add("a")
        for name, partial in partials.items():
            partial.append(bytes(100))
            self.ahead.wrote(name, partial)
        self.assertEqual([each.begun for each in partials.values()], [0, 100, 100, 0])
        self.work()
        self.elsewhere.clear()
        for name in "ad":
            self.ahead.wrote(name, partials[name])
        self.assertEqual([each.begun for each in partials.values()], [100, 100, 100, 0])
        for each in partials.values():
            each.close()
        while self.works:
            self.work()

    def test_closed_meanwhile(self) -> None:
        """Work is done for a file that its writer has closed; nothing stays open then."""
        before = os.listdir("/proc/self/fd")
        partial = self.vault.partial("a")
        partial.append(b"x" * 100)
        self.ahead.wrote("a", partial)
        partial.close()
        self.work()
        self.assertEqual(os.listdir("/proc/self/fd"), before)
        self.assertEqual(self.vault.length("a"), 100)

    def test_no_descriptors(self) -> None:
        """An upload goes on when there are none left for this."""

        def none(file: int) -> int:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        partial = self.vault.partial("a")
        self.patch(os, "dup", none)
        partial.append(bytes(100))
        self.ahead.wrote("a", partial)
        self.assertEqual((self.works, partial.begun), ([], 0))
        partial.close()
