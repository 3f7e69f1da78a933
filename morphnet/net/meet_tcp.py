"""
TCP that both ends open at the same moment: each one's first packet makes its own router take the other's for an answer.

Source: RFC 9293 section 3.5, figure 7; RFC 5382 section 4 for what it asks of routers.
"""

from __future__ import annotations

import errno
import socket
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IProtocolFactory, IWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from morphnet.net.ondevice import bind_to_device
from morphnet.wire.batch import Endpoint

AGAIN = 0.3  # seconds after a refusal: the other end, or its router, was not ready


@implementer(IWriteDescriptor)
class MeetTcp:
    """
    One attempt, with the kernel's repetitions. What comes of it `factory` is told.

    :param here: address and port to call from: the peer calls them. A listener may have them as well, if it shares.
    :param there: where the peer calls from.
    :param device: the network device to call by, "" for any.
    """

    def __init__(
        self, reactor: Any, here: Endpoint, there: Endpoint, factory: IProtocolFactory, device: str = ""
    ) -> None:
        self._reactor, self._here, self._there, self._factory = reactor, here, there, factory
        self._device = device
        self._family = socket.AF_INET6 if ":" in there.host else socket.AF_INET
        self._socket: socket.socket | None = None
        self._again: IDelayedCall | None = None
        self._end: IDelayedCall | None = None

    def start(self, within: float) -> None:
        """Call, and call again when refused, for so many seconds."""
        self._end = self._reactor.callLater(within, self.stop)
        self._call()

    def stop(self) -> None:
        """Give up, if it is not done already."""
        for timer in (self._again, self._end):
            if timer is not None and timer.active():
                timer.cancel()
        self._hang_up()

    def _call(self) -> None:
        self._socket = opened = socket.socket(self._family, socket.SOCK_STREAM)
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            bind_to_device(opened, self._device)
            opened.bind((self._here.host, self._here.port))
        except OSError:
            self.stop()  # the device or the address is gone
            return
        trouble = opened.connect_ex((self._there.host, self._there.port))
        if trouble in (0, errno.EINPROGRESS):
            self._reactor.addWriter(self)
        else:
            self._failed(trouble)

    def _failed(self, trouble: int) -> None:
        self._hang_up()
        if trouble == errno.ECONNREFUSED and self._end is not None and self._end.active():
            self._again = self._reactor.callLater(AGAIN, self._call)
        else:  # no route; or the peer has called here already, and is connected
            self.stop()

    def _hang_up(self) -> None:
        opened, self._socket = self._socket, None
        if opened is not None:
            self._reactor.removeWriter(self)
            opened.close()

    # what the reactor calls

    def fileno(self) -> int:
        return self._socket.fileno() if self._socket is not None else -1

    def logPrefix(self) -> str:
        return type(self).__name__

    def doWrite(self) -> None:
        opened = self._socket
        if opened is None:
            return
        trouble = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if trouble:
            self._failed(trouble)
            return
        self._reactor.removeWriter(self)
        self._socket = None
        try:
            self._reactor.adoptStreamConnection(opened.fileno(), self._family, self._factory)  # it makes a copy
        except OSError:
            pass  # ended meanwhile
        finally:
            opened.close()
        self.stop()

    def connectionLost(self, reason: Failure) -> None:
        if self._socket is not None:
            self._failed(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or errno.ECONNREFUSED)
