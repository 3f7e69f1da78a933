"""The TUN device, in batches: super packets out of the kernel and back into it, each behind its virtio_net_hdr."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor, IWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from morphnet.errors import HostError, MalformedFrame
from morphnet.net.ring import ring
from morphnet.tunnel.intake import Intake, crowded
from morphnet.wire.batch import VNET_HDR
from morphnet.wire.offload import split
from morphnet.wire.virtio import GSO_UDP_L4, PLAIN, complete_checksum

DEVICE = "/dev/net/tun"

# linux/if_tun.h
TUNSETIFF = 0x400454CA
TUNSETOFFLOAD = 0x400454D0
TUNGETIFF = 0x800454D2
TUNSETVNETHDRSZ = 0x400454D8
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
IFF_VNET_HDR = 0x4000
TUN_F_CSUM = 0x01
TUN_F_TSO4 = 0x02
TUN_F_TSO6 = 0x04
TUN_F_USO4 = 0x20  # since Linux 6.2; both or none
TUN_F_USO6 = 0x40

SLOT = 68 << 10  # bytes of one read: header, and a packet of 64 KB with room to spare (a longer one is cut unseen)
READS = 64  # most reads in one wake-up
BUDGET = 1_000_000  # bytes after which a wake-up ends
AHEAD = 4  # batches that a wake-up reads while some wait

_TSO = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6
_USO = TUN_F_USO4 | TUN_F_USO6
_OFFLOADS: tuple[tuple[int, tuple[str, ...]], ...] = (  # the best that the kernel takes
    (_TSO | _USO, ("tso", "uso")),
    (_TSO, ("tso", "no uso")),
    (0, ("no tso", "no uso")),
)
_BARE = ("no vnet_hdr", "no tso", "no uso")

_IFREQ = struct.Struct("=16sH22x")  # name, flags
_INT = struct.Struct("=i")

Packet = bytes | bytearray | memoryview


@implementer(IReadDescriptor, IWriteDescriptor)
class Tun:
    """
    A TUN device that lives as long as it is open.

    At most 64 reads at once are handed to `received`: views of virtio_net_hdr (10 bytes) and one IP packet, or one
    TCP or UDP super packet. Each view starts a buffer of its own, which may be written to, and is overwritten once
    `received` has returned. Packets that the kernel would not take are counted, never raised.

    While more come than are taken, they wait here in place of the kernel, in the order of `tunnel/intake`.
    """

    quick = True  # see net/quickwait

    lost: Callable[[HostError], None] | None = None
    """Told when somebody deleted the device; it is closed then."""

    def __init__(
        self, reactor: IReactorFDSet, name: str, received: Callable[[Sequence[memoryview]], None], *, path: str = DEVICE
    ) -> None:
        """
        :param name: of the device, at most 15 characters; "morph%d" lets the kernel number it.
        :param path: of the clone device.
        """
        self.name, self.path = name, path  # the name is the kernel's once open
        self.index = 0  # the interface's number, once open
        self.offloads: tuple[str, ...] = ()  # ("tso", "uso"), each with "no " in front where the kernel refused it
        self.read_packets = self.written_packets = 0  # super packets count once
        self.read_bytes = self.written_bytes = 0  # virtio_net_hdr included
        self.read_calls = 0  # system calls
        self.dropped: dict[str, int] = {}  # packets not written, by name of the error
        self.errors: dict[str, int] = {}  # reads that failed, the same way
        self._reactor, self._received = reactor, received
        self._file: io.FileIO | None = None
        self._paused = False
        self._intake = Intake()
        self._lonely = False  # one packet came in the turn before, or none
        self._cuts = True  # whether the kernel cuts every super packet that is written
        self._at = 0  # where a read starts in its slot: behind a header of ours if the kernel gives none
        self._ring: list[memoryview] = []
        self._targets: list[memoryview] = []

    # -- life ---------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """
        Make the device, or attach to a persistent one of that name, and start reading.

        :raises HostError: no TUN here, no permission, or the name is taken.
        """
        assert self._file is None, "open already"
        if not 0 < len(self.name.encode()) < 16:
            raise HostError(f"TUN device name {self.name!r}: give it 1 to 15 characters")
        try:
            opened = self.clone()
        except OSError as problem:
            raise HostError(unopened(self.path, problem)) from problem
        try:
            self._attach(opened.fileno())
        except BaseException:
            opened.close()
            raise
        self._file = opened
        self._at = 0 if self.offloads != _BARE else VNET_HDR
        self._cuts = "uso" in self.offloads
        self._ring = ring(READS, SLOT)
        self._targets = [slot[self._at :] for slot in self._ring]
        if not self._paused:
            self._reactor.addReader(self)

    def close(self) -> None:
        """Let the device go; twice does nothing."""
        if self._file is None:
            return
        self._reactor.removeReader(self)
        self._reactor.removeWriter(self)
        self._intake.clear()
        self._file.close()
        self._file = None

    def pause(self) -> None:
        """Read no more; the kernel queues txqueuelen packets, then drops."""
        self._paused = True
        if self._file is not None:
            self._reactor.removeReader(self)
            self._reactor.removeWriter(self)

    def resume(self) -> None:
        """Read again."""
        self._paused = False
        if self._file is not None:
            self._reactor.addReader(self)
            if self._intake:
                self._reactor.addWriter(self)

    def clone(self) -> io.FileIO:
        """A fresh file of the clone device, which is no network device yet."""
        return io.FileIO(os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC), "r+")

    def ioctl(self, descriptor: int, request: int, argument: bytes | int) -> bytes | int:
        """The one way to ask the kernel."""
        return fcntl.ioctl(descriptor, request, argument)

    def _attach(self, descriptor: int) -> None:
        """Name the device and agree on offloads, as good as the kernel gives them."""
        flags = IFF_TUN | IFF_NO_PI
        try:
            bound = self._claim(descriptor, flags | IFF_VNET_HDR)
            self.ioctl(descriptor, TUNSETVNETHDRSZ, _INT.pack(VNET_HDR))
        except OSError as problem:
            if problem.errno != errno.EINVAL:
                raise HostError(_unattached(self.name, problem)) from problem
            try:  # no virtio headers in this kernel, or the name belongs to something else
                bound = self._claim(descriptor, flags)
            except OSError as again:
                raise HostError(_unattached(self.name, again)) from again
            self.offloads = _BARE
        else:
            self.offloads = self._agree(descriptor)
        self.name = bound
        self.index = socket.if_nametoindex(bound)

    def _claim(self, descriptor: int, flags: int) -> str:
        """The name that the kernel gave the device."""
        answer = self.ioctl(descriptor, TUNSETIFF, _IFREQ.pack(self.name.encode(), flags))
        assert isinstance(answer, bytes)
        return answer[:16].rstrip(b"\0").decode()

    def _agree(self, descriptor: int) -> tuple[str, ...]:
        """Ask for offloads, the best first."""
        for offload, names in _OFFLOADS:
            try:
                self.ioctl(descriptor, TUNSETOFFLOAD, offload)
            except OSError:
                continue
            return names
        return _OFFLOADS[-1][1]  # refused even none: then there are none

    # -- packets ------------------------------------------------------------------------------------------------------

    def doRead(self) -> None:
        """
        Read what is there, within the budget, and hand it over at once.

        Where one packet came alone, the next first one goes its way before we look whether another is behind it.
        """
        if self._intake:
            self._read_ahead()  # and `doWrite` hands over
            return
        first = self._read(1) if self._lonely else 0
        if first or not self._lonely:
            self._lonely = first + self._read(READS) <= 1

    def doWrite(self) -> None:
        """Hand over of what waits here; a TUN can be written to at any time, so that this is called in each turn."""
        packets = self._intake.take(READS)
        if not self._intake:
            self._reactor.removeWriter(self)
        if packets:
            self._received(packets)

    def _read(self, most: int) -> int:
        """Hand over so many reads at most: how many there were."""
        packets, taken = self._fill(most)
        if len(packets) == READS and crowded(packets, taken):
            self._keep(packets)
            self._read_ahead()
            if self._file is not None:
                self._reactor.addWriter(self)
                self.doWrite()
        elif packets:
            self._received(packets)
        return len(packets)

    def _read_ahead(self) -> None:
        """Have what is there wait here, as far as it matters in which order it leaves."""
        for _ in range(AHEAD):
            packets = self._fill(READS)[0] if self._intake.wants else []
            self._keep(packets)
            if len(packets) < READS:
                return

    def _keep(self, packets: list[memoryview]) -> None:
        for packet in packets:
            self._intake.put(packet)

    def _fill(self, most: int) -> tuple[list[memoryview], int]:
        """So many reads at most, and their bytes."""
        packets: list[memoryview] = []
        taken = 0
        if self._file is None or self._paused:
            return packets, taken
        read_into, extra = self._file.readinto, self._at
        for slot, target in zip(self._ring, self._targets, strict=True):
            if taken >= BUDGET or len(packets) == most:
                break
            self.read_calls += 1
            try:
                length = read_into(target)
            except OSError as problem:
                _count(self.errors, problem)
                if problem.errno == errno.EBADFD:
                    self._vanish()
                    break
                continue
            if not length:
                break
            if extra:
                slot[:extra] = PLAIN
            taken += length + extra
            packets.append(slot[: length + extra])
        self.read_packets += len(packets)
        self.read_bytes += taken
        return packets, taken

    def write(self, packets: Sequence[Packet]) -> None:
        """Give each packet, behind its virtio_net_hdr, to the kernel; it is done with them on return."""
        for packet in packets if self._cuts else chain.from_iterable(map(self._fitting, packets)):
            if self._file is None:
                self._drop("EBADFD")
                continue
            try:
                written = self._file.write(packet if not self._at else _bare(packet))
            except MalformedFrame:
                self._drop("EINVAL")
                continue
            except OSError as problem:
                _count(self.dropped, problem)
                continue
            if written is None:
                self._drop("EAGAIN")
                continue
            self.written_packets += 1
            self.written_bytes += written

    def _fitting(self, packet: Packet) -> Iterable[Packet]:
        """The packet, or single ones instead of a super packet that this kernel cannot cut."""
        gso = packet[1] if len(packet) > VNET_HDR else 0
        if not gso or (gso != GSO_UDP_L4 and self.offloads != _BARE):
            return (packet,)
        try:
            return tuple(split(packet))
        except MalformedFrame:
            self._drop("EINVAL")
            return ()

    def counters(self) -> dict[str, int]:
        """Everything counted since the start, by name; drops as `dropped_EIO`, failed reads as `error_EIO`."""
        counted = {
            "read_packets": self.read_packets,
            "read_bytes": self.read_bytes,
            "read_calls": self.read_calls,
            "read_dropped": self._intake.dropped,
            "written_packets": self.written_packets,
            "written_bytes": self.written_bytes,
        }
        counted.update((f"dropped_{name}", times) for name, times in self.dropped.items())
        counted.update((f"error_{name}", times) for name, times in self.errors.items())
        return counted

    # -- what the reactor asks ----------------------------------------------------------------------------------------

    def fileno(self) -> int:
        return self._file.fileno() if self._file is not None else -1

    def logPrefix(self) -> str:
        return f"tun {self.name}"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor gave us up: because `received` raised (go on), or because the device was deleted (tell)."""
        if self._file is None:
            return
        try:
            self.ioctl(self._file.fileno(), TUNGETIFF, bytes(_IFREQ.size))
        except OSError:
            self._vanish()
            return
        if not self._paused:
            self.resume()

    def _vanish(self) -> None:
        """Somebody deleted the device under us."""
        self.close()
        if self.lost is not None:
            self.lost(HostError(f"TUN device {self.name} was deleted"))

    def _drop(self, name: str) -> None:
        self.dropped[name] = self.dropped.get(name, 0) + 1


def _bare(packet: Packet) -> Packet:
    """
    The packet alone, its checksum finished: for a kernel without virtio headers.

    :raises MalformedFrame: a super packet, or too short for what its header says.
    """
    if len(packet) > 1 and packet[1]:
        raise MalformedFrame("a super packet for a device that takes none")
    whole = bytearray(packet)
    complete_checksum(whole)
    return memoryview(whole)[VNET_HDR:]


def unopened(path: str, problem: OSError) -> str:
    """What the operator reads when the clone device would not open."""
    if problem.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return f"there is no {path}: load the kernel module tun, or give the container that device"
    if problem.errno in (errno.EACCES, errno.EPERM):
        return f"no permission to open {path}: run as root or give CAP_NET_ADMIN"
    return f"cannot open {path}: {problem.strerror}"


def _unattached(name: str, problem: OSError) -> str:
    """What the operator reads when the device could not be made."""
    if problem.errno in (errno.EACCES, errno.EPERM):
        return f"no permission to make TUN device {name}: run as root or give CAP_NET_ADMIN"
    if problem.errno == errno.EBUSY:
        return f"another process uses TUN device {name}: stop it, or choose another name (tun)"
    if problem.errno == errno.EINVAL:
        return f"{name} is the name of another network device, or none that the kernel takes: choose another (tun)"
    return f"cannot make TUN device {name}: {problem.strerror}"


def _count(counts: dict[str, int], problem: OSError) -> None:
    name = errno.errorcode.get(problem.errno or 0, "unknown")
    counts[name] = counts.get(name, 0) + 1
