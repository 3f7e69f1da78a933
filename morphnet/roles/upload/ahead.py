"""
Long uploads are on their way to the disk while they still come.

Whoever asks how far one is, or sends its last byte, waits until all of it is on the disk. Without this that was all
that had come since the last time.
"""

from __future__ import annotations

from collections.abc import Container

from morphnet.roles.upload.letting import Beside
from morphnet.store.vault import Partial

EVERY = 1 << 22  # bytes of one upload
AT_ONCE = 2  # uploads; a slow disk has threads left for those who wait for an answer


class Ahead:
    """
    Has what was written go to the disk, and waits for nothing.

    :param beside: does work of a slow disk where it holds up nobody.
    :param elsewhere: paths to which a thread writes just now; only the loop may ask for work beside it.
    """

    def __init__(self, beside: Beside, elsewhere: Container[str]) -> None:
        self._beside, self._elsewhere = beside, elsewhere
        self._working = 0

    def wrote(self, path: str, partial: Partial) -> None:
        """There is more of that upload."""
        if partial.length - partial.begun < EVERY or self._working >= AT_ONCE or path in self._elsewhere:
            return
        try:
            work = partial.write_out()
        except OSError:  # there are no more descriptors: it is written when it has to be
            return
        self._working += 1
        self._beside(work).addBoth(self._is_done)

    def _is_done(self, outcome: object) -> None:
        self._working -= 1
