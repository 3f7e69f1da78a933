"""What a process asks of the kernel for itself."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.process.resources import FIRST, allow_files, come_first


class Kernel:
    """
    Keeps a nice value.

    :param nice: what the process was started with.
    :param may: whether it may lower it.
    """

    def __init__(self, nice: int, may: bool = True) -> None:
        self.nice, self.may = nice, may

    def get(self, which: int, who: int) -> int:
        """As os.getpriority."""
        assert (which, who) == (os.PRIO_PROCESS, 0)
        return self.nice

    def set_to(self, which: int, who: int, nice: int) -> None:
        """As os.setpriority."""
        assert (which, who) == (os.PRIO_PROCESS, 0)
        if not self.may:
            raise PermissionError("no CAP_SYS_NICE")
        self.nice = nice


class TurnTests(SynchronousTestCase):
    def test_first(self) -> None:
        """Who may comes first; who may not goes on as before; what was chosen at the start stays."""
        for nice, may, then in ((0, True, FIRST), (0, False, 0), (5, True, 5), (-5, True, -5)):
            kernel = Kernel(nice, may)
            self.assertEqual(come_first(kernel.get, kernel.set_to), then)
            self.assertEqual(kernel.nice, then)


class FilesTests(SynchronousTestCase):
    def test_allowed(self) -> None:
        """There may be more than a shell gives, once and again."""
        self.assertEqual(allow_files(), allow_files())
        self.assertGreaterEqual(allow_files(), 1024)
