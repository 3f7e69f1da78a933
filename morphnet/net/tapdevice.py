"""
The TAP device: Ethernet frames of a local network, one by one.

Source: linux/if_tun.h; linux/sockios.h; Documentation/networking/tuntap.rst of Linux.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from collections import Counter
from collections.abc import Callable

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from morphnet.errors import HostError
from morphnet.net.tun import DEVICE, IFF_NO_PI, TUNSETIFF
from morphnet.wire.ethernet import LONGEST

IFF_TAP, IFF_UP = 0x0002, 0x1
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFMTU, SIOCBRADDIF = 0x8913, 0x8914, 0x8922, 0x89A2
READS = 64  # most frames in one wake-up
_IFREQ = struct.Struct("=16sH22x")  # name, flags
_NUMBER = struct.Struct("=16si20x")  # name, number


@implementer(IReadDescriptor)
class TapDevice:
    """Lives as long as it is open; nothing of it is left afterwards."""

    def __init__(
        self, reactor: IReactorFDSet, name: str, received: Callable[[bytes], None], *, mtu: int, bridge: str = ""
    ) -> None:
        """
        :param mtu: of the device, bytes.
        :param bridge: to put it on, "" for none.
        """
        self.name, self.mtu, self.bridge = name, mtu, bridge
        self.counts: Counter[str] = Counter()
        self._reactor, self._received = reactor, received
        self._descriptor = -1

    def open(self) -> None:
        """
        Make the device, bring it up, and start reading.

        :raises HostError: no TAP here, no permission, or there is no such bridge.
        """
        try:
            self._descriptor = os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            fcntl.ioctl(self._descriptor, TUNSETIFF, _IFREQ.pack(self.name.encode(), IFF_TAP | IFF_NO_PI))
            self._bring_up()
        except OSError as problem:
            self.close()
            raise HostError(f"cannot make the TAP device {self.name}: {os.strerror(problem.errno or 0)}") from None
        self._reactor.addReader(self)

    def _bring_up(self) -> None:
        """:raises OSError: there is no such bridge, or it is none."""
        name = self.name.encode()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asking:
            fcntl.ioctl(asking, SIOCSIFMTU, _NUMBER.pack(name, self.mtu))
            _, flags = _IFREQ.unpack(fcntl.ioctl(asking, SIOCGIFFLAGS, _IFREQ.pack(name, 0)))
            fcntl.ioctl(asking, SIOCSIFFLAGS, _IFREQ.pack(name, flags | IFF_UP))
            if self.bridge:
                index = socket.if_nametoindex(self.name)
                fcntl.ioctl(asking, SIOCBRADDIF, _NUMBER.pack(self.bridge.encode(), index))

    def close(self) -> None:
        """Let it go; twice does nothing."""
        if self._descriptor >= 0:
            self._reactor.removeReader(self)
            os.close(self._descriptor)
            self._descriptor = -1

    def write(self, frame: bytes) -> None:
        """Give a frame to the local network, or count why not."""
        try:
            os.write(self._descriptor, frame)
            self.counts["frames_written"] += 1
        except OSError as problem:
            self.counts[f"frames_{errno.errorcode.get(problem.errno or 0, 'failed')}"] += 1

    def doRead(self) -> None:
        """Frames of the local network, within the budget."""
        for _ in range(READS):
            if self._descriptor < 0:
                return
            try:
                frame = os.read(self._descriptor, LONGEST + 1)
            except BlockingIOError:
                return
            except OSError:  # the device was deleted
                self.counts["frames_failed"] += 1
                self._reactor.removeReader(self)
                return
            self.counts["frames_read"] += 1
            self._received(frame)

    def fileno(self) -> int:
        return self._descriptor

    def logPrefix(self) -> str:
        return f"tap {self.name}"

    def connectionLost(self, reason: Failure) -> None:
        """Never called: the device has no other end."""
