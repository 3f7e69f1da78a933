"""
Whether what is to go through the tunnel goes into it now.

A tunnel without a path that works is a hole: what goes in does not come out. So nothing is led into it before a path
works, and nothing any more when none has worked for a while though there is an uplink. Then the machine's traffic goes
as it does without us, which may be what it takes to mend things: a hotel's login page, a download. Who wants it held
back instead has the kill switch (`strict`).
"""

from __future__ import annotations

from collections.abc import Callable

PATIENCE = 10.0  # seconds without a path, and with an uplink: a server that starts anew, a train in a tunnel


class Carrying:
    """
    :param now: seconds.
    :param strict: nothing is to go in another way, whatever happens.
    """

    def __init__(self, now: Callable[[], float], *, strict: bool) -> None:
        self._now, self.strict = now, strict
        self._works = False
        self._known = False  # whether a path works, or that none does: at first there is hope
        self._hoped_at = now()  # when a path worked last, or there was nothing but to wait for one

    @property
    def carries(self) -> bool:
        """Whether it goes into the tunnel."""
        return self.strict or self._works

    @property
    def traffic(self) -> str:
        """The same as `NodeStatus.traffic` has it."""
        return "tunnel" if self._works else "held" if self.strict else "outside"

    def look(self, *, works: bool, uplinks: bool) -> bool:
        """
        Whether `traffic` is another now, or stays as it was from the start because none of the first paths works.

        :param works: there is a path that traffic may be given to.
        :param uplinks: there is a way out of this machine at all.
        """
        before, now = (self._works, self._known), self._now()
        if works:
            self._works = self._known = True
        if works or not uplinks:
            self._hoped_at = now
        elif now - self._hoped_at >= PATIENCE:
            self._works, self._known = False, True
        return (self._works, self._known) != before
