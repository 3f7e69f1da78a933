"""
Datagrams to ports of clients that ask whether these are open from outside.

One goes to the address from which that client's link comes, and nowhere else; it is shorter than what asked for it, and
its bytes are not the asker's choice. What comes of it only that client sees.
"""

from __future__ import annotations

from collections.abc import Callable

from morphnet.net.limits import SourceLimiter, TokenBucket, numeric
from morphnet.net.lone import send_lone
from morphnet.roles.signalling.control_server import Caller
from morphnet.wire.messages.trying import Tried, TryPort, datagram_of

EVERY = 10.0  # seconds between two of one client
RATE, AT_ONCE = 5.0, 20  # a second, for all clients together
SOURCES = 4096  # clients that are remembered

Send = Callable[[str, str, int, bytes], bool]


class Trying:
    """
    Of one server.

    :param send: takes our address, the other one, its port and the datagram; see `net/lone`.
    """

    def __init__(self, now: Callable[[], float], send: Send = send_lone) -> None:
        self._now, self._send = now, send
        self._each, self._all = SourceLimiter(1 / EVERY, 1, SOURCES), TokenBucket(RATE, AT_ONCE, now=now())
        self._tried = self._untried = 0

    def asked(self, caller: Caller, asked: TryPort) -> None:
        """A client wants one."""
        now = self._now()
        sent = (
            is_fit(caller)
            and self._each.admit(caller.name, now=now)
            and self._all.take(now=now)
            and self._send(caller.local, caller.host, asked.port, datagram_of(asked.token))
        )
        self._tried += sent
        self._untried += not sent
        caller.send(Tried(asked.token, sent))

    def counters(self) -> dict[str, int]:
        """For the node's status."""
        return {"ports_tried": self._tried, "ports_untried": self._untried}


def is_fit(caller: Caller) -> bool:
    """Whether its address is one that it has proved to be at, and on another machine."""
    to = numeric(caller.host)
    if not caller.direct or to is None or caller.host == caller.local:
        return False
    return not (to.is_loopback or to.is_unspecified or to.is_multicast or to.is_link_local)
