"""
What stands in front of a TUN that brings more than we can send: small packets leave first, and large ones beyond a
bound are dropped.

A TUN keeps 1000 packets in one line, and drops what comes when it is full. Under TCP of thousands of connections it is
always full: each packet waits for all of them, and a third is dropped whatever it is, echoes, questions for names and
acknowledgements too. So it is read faster than it is sent, and kept here. A fair queue by flows would not help: each of
thousands of connections sends less than an echo does.

Source: docs/performance, "TCP by many connections".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from morphnet.wire.batch import VNET_HDR

SMALL = VNET_HDR + 256  # bytes of the longest packet that goes first
ENOUGH_SMALL = 64  # that wait: no more is read before they have left
BURST = 1000  # large packets that wait: what a TUN's own queue holds
STANDING = 256  # and once so many as BURST have left while others waited: 5 ms of what two processors carry
MOST_BYTES = 4 << 20  # of large packets
SHARE = 4  # of so many packets that leave one is a large one, while some wait
SUPER = 4096  # bytes of a packet in the mean, beyond which there are few flows: TCP makes long super packets of them
LOOKED_AT = 8  # packets of a batch, to see whether it is of many flows
_FRAGMENT = 44  # the extension header of IPv6


class Intake:
    """A line of small packets and one of large ones; those of one flow stay in their order."""

    def __init__(self) -> None:
        self.dropped = 0  # packets that found their line full, ever
        self._came = 0  # packets so far
        self._small: deque[tuple[int, memoryview]] = deque()  # its number as it came, and the packet
        self._large: deque[tuple[int, bytes, memoryview]] = deque()  # with its flow
        self._bytes = 0  # of the large ones
        self._left = 0  # large ones, since none waited
        self._waiting: dict[bytes, int] = {}  # flow -> how many of its packets are among the large ones

    def __bool__(self) -> bool:
        return bool(self._small or self._large)

    @property
    def wants(self) -> bool:
        """Whether more should be read before something leaves: there may be small ones behind large ones."""
        return len(self._small) < ENOUGH_SMALL and bool(self._large)

    def put(self, packet: memoryview) -> None:
        """
        Keep a copy, or drop it.

        :param packet: virtio_net_hdr (10 bytes) and an IP packet.
        """
        flow, size = _flow(packet), len(packet)
        self._came += 1
        if size <= SMALL and flow not in self._waiting and not _is_fragment(packet):
            self._small.append((self._came, memoryview(bytearray(packet))))
            return
        most = BURST if self._left < BURST else STANDING
        if len(self._large) >= (2 * BURST if size <= SMALL else most) or self._bytes + size > MOST_BYTES:
            self.dropped += 1
            return
        self._large.append((self._came, flow, memoryview(bytearray(packet))))
        self._bytes += size
        self._waiting[flow] = self._waiting.get(flow, 0) + 1

    def take(self, most: int) -> list[memoryview]:
        """
        So many at most: small ones first, and large ones in what they leave, or in one place of SHARE.

        A large one never leaves before a small one that came before it: both may be of one flow.
        """
        found: list[memoryview] = []
        self._take_small(found, most - min(len(self._large), most // SHARE))
        small = len(found)
        while self._large and len(found) < most:
            came, flow, packet = self._large[0]
            if self._small and self._small[0][0] < came:
                break
            self._large.popleft()
            found.append(packet)
            self._bytes -= len(packet)
            left = self._waiting[flow] - 1
            if left:
                self._waiting[flow] = left
            else:
                del self._waiting[flow]
        self._left = self._left + len(found) - small if self._large else 0
        self._take_small(found, most - len(found))
        return found

    def _take_small(self, found: list[memoryview], most: int) -> None:
        for _ in range(min(len(self._small), most)):
            found.append(self._small.popleft()[1])

    def clear(self) -> None:
        """Nothing waits any more."""
        self._small.clear()
        self._large.clear()
        self._waiting.clear()
        self._bytes = self._left = 0


def crowded(packets: Sequence[memoryview], taken: int) -> bool:
    """
    Whether a batch should wait in an Intake: it is of many flows, and small packets may be behind large ones.

    :param taken: bytes of all of them.
    """
    if not SMALL < taken / len(packets) <= SUPER:
        return False
    seen = packets[:: len(packets) // LOOKED_AT + 1]  # an odd step for 64, since flows often come in turn
    return len({_flow(packet) for packet in seen}) > len(seen) // 2


def _flow(packet: memoryview) -> bytes:
    """The addresses, and the ports where they are usually: equal for all packets of one flow."""
    if _version(packet) == 4:
        return bytes(packet[VNET_HDR + 12 : VNET_HDR + 24])
    return bytes(packet[VNET_HDR + 8 : VNET_HDR + 44])


def _is_fragment(packet: memoryview) -> bool:
    """Whether its ports are in another packet, or those of another behind it."""
    if _version(packet) == 4:
        return bool(packet[VNET_HDR + 6] & 0x3F or packet[VNET_HDR + 7])
    return len(packet) > VNET_HDR + 6 and packet[VNET_HDR + 6] == _FRAGMENT


def _version(packet: memoryview) -> int:
    """Of IP; 0 when it is too short for that."""
    return packet[VNET_HDR] >> 4 if len(packet) >= VNET_HDR + 20 else 0
