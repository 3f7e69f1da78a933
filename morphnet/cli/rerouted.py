"""
A connection whose network is gone looks alive for minutes. But the machine knows already: it would reach the same peer
from another address now.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

EVERY = 0.5  # seconds between two looks


def source_to(peer: Any, family: int) -> str:
    """The address from which this machine would call that one now; "" when there is no way. Nothing is sent."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(peer)
            return str(probe.getsockname()[0])
        except OSError:
            return ""


def reach(place: tuple[str, int], timeout: float, *_: object, every: float = EVERY) -> socket.socket:
    """
    A connection there, as `socket.create_connection` makes it; but it is given up as well when its network is gone.

    :param place: host and port.
    :raises OSError: nobody answers there.
    """
    trouble: OSError = TimeoutError("nobody answers")
    for family, kind, protocol, _name, peer in socket.getaddrinfo(*place, type=socket.SOCK_STREAM):
        line = socket.socket(family, kind, protocol)
        try:
            _connect(line, peer, timeout, every)
            line.settimeout(timeout)
            return line
        except OSError as this:
            trouble = this
            line.close()
    raise trouble


def _connect(line: socket.socket, peer: Any, timeout: float, every: float) -> None:
    line.setblocking(False)
    failed = line.connect_ex(peer)
    if failed not in (0, errno.EINPROGRESS):
        raise OSError(failed, os.strerror(failed))
    own, look = str(line.getsockname()[0]), select.poll()
    look.register(line, select.POLLOUT)
    ends = time.monotonic() + timeout
    while not look.poll(every * 1000):
        if source_to(peer, line.family) not in ("", own):
            raise ConnectionAbortedError("the network is another one now")
        if time.monotonic() > ends:
            raise TimeoutError("nobody answers")
    if failed := line.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(failed, os.strerror(failed))


class Rerouted:
    """
    While it lasts, the connection is shut down as soon as its peer is reached from another address. No way at all is no
    reason: the network may come back.

    :param line: connected.
    """

    def __init__(
        self, line: socket.socket, every: float = EVERY, source: Callable[[Any, int], str] = source_to
    ) -> None:
        self._line, self._every, self._source = line, every, source
        self._over = threading.Event()
        self.noticed = False  # it was shut down
        self._thread = threading.Thread(target=self._watch, name="rerouted", daemon=True)

    def __enter__(self) -> Rerouted:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, trouble: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        with suppress(OSError):  # the connection is over
            peer, own = self._line.getpeername(), str(self._line.getsockname()[0])
            while not self._over.wait(self._every):
                if self._source(peer, self._line.family) not in ("", own):
                    self.noticed = True
                    socket.socket.shutdown(self._line, socket.SHUT_RDWR)  # not that of TLS, which may be in use
                    return
