"""What the wire needs of Linux: TAP devices in other namespaces, a carrier to pull, a timer finer than epoll's."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import itertools
import os
import struct

from pyroute2 import IPRoute, NetlinkError

from morphnet.errors import HostError

_TUNSETIFF, _TUNSETCARRIER = 0x400454CA, 0x400454E2
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_CLOCK_MONOTONIC, _TFD_NONBLOCK, _TFD_CLOEXEC, _TFD_TIMER_ABSTIME = 1, 0o4000, 0o2000000, 1
_DEVICE_QUEUE = 4000  # frames the kernel holds while we are busy; the shaped queue is ours, not this one
_ITIMERSPEC = struct.Struct("@qqqq")  # period seconds, nanoseconds; expiry seconds, nanoseconds

_libc = ctypes.CDLL(None, use_errno=True)
_serials = itertools.count()


def open_tap(pid: int, device: str) -> int:
    """
    Make a TAP called `device` in the network namespace of process `pid`.

    It carries plain Ethernet frames: no offloads, so no frame is larger than the device's MTU.
    It lives as long as the descriptor returned, which is non-blocking. The device starts down.

    :raises HostError: the kernel refused.
    """
    name = f"mw{os.getpid()}x{next(_serials)}"[:15]
    try:
        tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise HostError(f"cannot open /dev/net/tun: {error.strerror}") from error
    try:
        fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
        _move(name, pid, device)
    except (OSError, NetlinkError) as error:
        os.close(tap)
        raise HostError(f"cannot put the device {device} into the namespace of process {pid}: {error}") from error
    return tap


def _move(name: str, pid: int, device: str) -> None:
    with IPRoute() as routes:
        (index,) = routes.link_lookup(ifname=name)
        routes.link("set", index=index, txqlen=_DEVICE_QUEUE)
        routes.link("set", index=index, net_ns_pid=pid, ifname=device)


def set_carrier(tap: int, up: bool) -> None:
    """Plug the cable in or pull it out, as the owner of the device sees it."""
    try:
        fcntl.ioctl(tap, _TUNSETCARRIER, struct.pack("i", int(up)))
    except OSError as error:
        # EBADFD: the namespace is gone, and the device with it.
        if error.errno != errno.EBADFD:
            raise HostError(f"cannot change the carrier of a wire: {error.strerror}") from error


class Timer:
    """
    One alarm at a moment of the monotonic clock, as a descriptor for epoll.

    epoll's own timeout is rounded up to whole milliseconds; this is good to some 50 us.
    """

    def __init__(self) -> None:
        self.fd: int = _libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
        if self.fd < 0:
            raise HostError(f"cannot make a timer: {os.strerror(ctypes.get_errno())}")
        self._settime = _libc.timerfd_settime
        self._flags = ctypes.c_int(_TFD_TIMER_ABSTIME)

    def set(self, at: float | None) -> None:
        """Ring at `at` (time.monotonic seconds; at once if past), or never. Setting also silences it."""
        # An expiry of zero would disarm, so the past is one nanosecond after boot.
        nanoseconds = 0 if at is None else max(1, int(at * 1e9))
        spec = _ITIMERSPEC.pack(0, 0, *divmod(nanoseconds, 1_000_000_000))
        self._settime(self.fd, self._flags, spec, None)
