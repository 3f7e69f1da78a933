"""
Ears for what others do to this machine: routing, nftables, files. Each says that something of ours may have been
touched, and what exactly is for a comparison to find out; so an event too many costs a look, and nothing else.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Callable, Collection
from errno import EAGAIN, ENOBUFS

from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from morphnet.errors import HostError
from morphnet.host.facts import ADDRESS, DELADDR, DELLINK, DELROUTE, DELRULE, LINK, NEWLINK, PROTOCOL, ROUTE
from morphnet.host.netlink import NETLINK_NETFILTER, NETLINK_ROUTE, attributes, messages

READS_AT_ONCE = 16  # datagrams before other descriptors have their turn
# Links; addresses, routes and rules of both families; RTNLGRP_IPV4_NETCONF and RTNLGRP_IPV6_NETCONF.
ROUTE_GROUPS = 0x1 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x40000 | 1 << 23 | 1 << 24
NFT_GROUPS = 1 << 6  # NFNLGRP_NFTABLES
NEWNETCONF = 80
TABLES = b"morphnet_"  # how the names of our nftables tables begin
_ALL_DEVICES = struct.pack("=i", -1)  # NETCONFA_IFINDEX_ALL
_NFTABLES, _NEWGEN = 10, 15
_IN_MODIFY, _IN_MOVED, _IN_CREATE, _IN_DELETE, _IN_DELETE_SELF, _IN_MOVE_SELF = 0x2, 0xC0, 0x100, 0x200, 0x400, 0x800
_IN_OVERFLOW = 0x4000
_FILE, _DIRECTORY = _IN_MODIFY | _IN_DELETE_SELF | _IN_MOVE_SELF, _IN_MOVED | _IN_CREATE | _IN_DELETE | _IN_MODIFY
_EVENT = struct.Struct("=iIII")  # watch, mask, cookie, length of the name behind it


def touches_routing(kind: int, payload: bytes, devices: Collection[int]) -> bool:
    """
    Whether a message of rtnetlink may mean that somebody took something of ours.

    :param devices: indexes of our own devices: addresses and settings of others are not ours.
    """
    if kind == DELROUTE:
        return len(payload) >= ROUTE.size and payload[5] == PROTOCOL
    if kind == DELRULE:
        return attributes(payload[ROUTE.size :]).get(21) == bytes([PROTOCOL])
    if kind in (NEWLINK, DELLINK):
        return len(payload) >= LINK.size and LINK.unpack_from(payload)[2] in devices
    if kind == DELADDR:
        return len(payload) >= ADDRESS.size and ADDRESS.unpack_from(payload)[4] in devices
    return kind == NEWNETCONF and attributes(payload[4:]).get(1) == _ALL_DEVICES  # forwarding was switched


def _ignored(ear: object) -> None:
    return


@implementer(IReadDescriptor)
class Ear:
    """What all of them have: a descriptor that the reactor waits for. `open` answers with a new one."""

    def __init__(self, heard: Callable[[], None]) -> None:
        self.heard = heard
        self.lost: Callable[[Ear], None] = _ignored  # called when the reactor has given it up; it is closed then
        self._descriptor: socket.socket | int | None = None

    def open(self) -> None:
        """:raises HostError: this kernel, or what we may, does not allow it."""
        raise NotImplementedError

    def read(self) -> None:
        """Take in one piece; BlockingIOError when there is none."""
        raise NotImplementedError

    def close(self) -> None:
        """Hear no more."""
        if isinstance(self._descriptor, socket.socket):
            self._descriptor.close()
        elif self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None

    def fileno(self) -> int:
        if isinstance(self._descriptor, socket.socket):
            return self._descriptor.fileno()
        return -1 if self._descriptor is None else self._descriptor

    def logPrefix(self) -> str:
        return "host"

    def doRead(self) -> None:
        for _ in range(READS_AT_ONCE):
            try:
                self.read()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != ENOBUFS:
                    raise
                self.heard()  # the kernel had more to say than its buffer held

    def connectionLost(self, reason: Failure) -> None:
        """For an error that waited, or one that was raised while something was read."""
        was_open = self.fileno() >= 0
        self.close()
        if was_open:
            self.lost(self)


class NetlinkEar(Ear):
    """
    Multicast groups of netlink.

    :param protocol: NETLINK_ROUTE or NETLINK_NETFILTER.
    :param touches: whether a message (type and payload) is worth a look.
    """

    def __init__(
        self, protocol: int, groups: int, touches: Callable[[int, bytes], bool], heard: Callable[[], None]
    ) -> None:
        super().__init__(heard)
        self._protocol, self._groups, self._touches = protocol, groups, touches

    def open(self) -> None:
        try:
            hearing = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, self._protocol)
            hearing.setblocking(False)
            hearing.bind((0, self._groups))
        except OSError as error:
            raise HostError(f"cannot listen to changes of this machine: {error.strerror}") from error
        self._descriptor = hearing

    def read(self) -> None:
        assert isinstance(self._descriptor, socket.socket)  # it is open
        for kind, _, payload in messages(self._descriptor.recv(1 << 16)):
            if self._touches(kind, payload):
                self.heard()


def routing_ear(devices: Collection[int], heard: Callable[[], None]) -> NetlinkEar:
    """Hears of routes and rules of ours that go, and of what happens to our own devices."""
    return NetlinkEar(NETLINK_ROUTE, ROUTE_GROUPS, lambda kind, body: touches_routing(kind, body, devices), heard)


class NftListener:
    """
    Reads what nftables tells: objects that changed, then who committed that.

    :param committed: called when somebody else changed tables that are not ours.
    """

    def __init__(self, committed: Callable[[], None]) -> None:
        self._committed = committed
        self._ours = self._others = False  # a table of that kind is in the commit that is being told
        self.by = ""  # who touched a table of ours last

    def touches(self, kind: int, payload: bytes) -> bool:
        """Whether a commit that ends with this message touched a table of ours."""
        if kind >> 8 != _NFTABLES:
            return False
        found = attributes(payload[4:])
        if kind & 0xFF != _NEWGEN:
            of_ours = found.get(1, b"").startswith(TABLES)
            self._ours, self._others = self._ours or of_ours, self._others or not of_ours
            return False
        ours, others = self._ours, self._others
        self._ours = self._others = False
        if ours and found.get(2) != struct.pack("!I", os.getpid()):
            self.by = found.get(3, b"").rstrip(b"\0").decode(errors="replace")
        if others:
            self._committed()
        return ours


def nft_ear(listener: NftListener, heard: Callable[[], None]) -> NetlinkEar:
    """Hears of changes to our nftables tables."""
    return NetlinkEar(NETLINK_NETFILTER, NFT_GROUPS, listener.touches, heard)


class FileEar(Ear):
    """
    Hears when one of some files is written, replaced, renamed or removed, by inotify.

    The directory is watched for files that are put in the place of others, and the file itself besides: where it was
    mounted, its directory does not tell. A symbolic link is followed, and its target watched as well.
    """

    def __init__(self, heard: Callable[[], None]) -> None:
        super().__init__(heard)
        self._library = ctypes.CDLL(None, use_errno=True)
        self._watches: dict[int, tuple[str, frozenset[bytes]]] = {}  # path, and names in it; none for a file itself
        self._seen: dict[str, object] = {}  # what stood at each watched path when it was watched

    def open(self) -> None:
        descriptor = self._library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if descriptor < 0:
            raise HostError(f"cannot watch files: {os.strerror(ctypes.get_errno())}")
        self._descriptor = descriptor
        self._watches, self._seen = {}, {}

    def watch(self, paths: Collection[str]) -> None:
        """Watch these from now on, and no others; call again after each event: what was replaced is another file."""
        if not isinstance(self._descriptor, int):
            return
        whole = {each for path in paths for each in (path, os.path.realpath(path))}
        named: dict[str, set[bytes]] = {}
        for path in whole:
            named.setdefault(os.path.dirname(path), set()).add(os.path.basename(path).encode())
        wanted = {
            **{path: frozenset[bytes]() for path in whole},
            **{path: frozenset(some) for path, some in named.items()},
        }
        seen: dict[str, object] = {path: (names, _identity(path)) for path, names in wanted.items()}
        if seen == self._seen:
            return
        self._seen = seen
        for number in self._watches:
            self._library.inotify_rm_watch(self._descriptor, number)
        self._watches = {}
        for path, names in wanted.items():
            number = self._library.inotify_add_watch(
                self._descriptor, os.fsencode(path), _DIRECTORY if names else _FILE
            )
            if number >= 0:
                self._watches[number] = path, names

    def read(self) -> None:
        assert isinstance(self._descriptor, int)  # it is open
        data, at = os.read(self._descriptor, 1 << 16), 0
        if not data:
            raise BlockingIOError(EAGAIN, "nothing there")
        while at + _EVENT.size <= len(data):
            number, mask, _, length = _EVENT.unpack_from(data, at)
            name = data[at + _EVENT.size : at + _EVENT.size + length].rstrip(b"\0")
            at += _EVENT.size + length
            _, names = self._watches.get(number, ("", frozenset({b"?"})))
            if mask & _IN_OVERFLOW or not names or name in names:
                self.heard()


def _identity(path: str) -> tuple[int, int] | None:
    """Which file is at a path; None for none."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
