"""
The emulated wire: carries Ethernet frames between TAP devices in different namespaces.

`python -m morphnet.lab.wire SOCKET` reads one line of JSON from stdin, makes the devices,
prints `ready`, and carries frames until stdin closes or SIGTERM comes. The unix socket
takes orders (see `Control`). A plain epoll loop with one heap: some 15 us per packet is
all there is to spend, and the kernels we run on have no netem.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import heapq
import json
import os
import random
import select
import signal
import struct
import sys
import time
from collections.abc import Callable
from typing import Any, BinaryIO

from morphnet.errors import ConfigError, HostError
from morphnet.lab.shape import Direction, check, counted
from morphnet.lab.taps import Timer, open_tap, set_carrier
from morphnet.lab.toobig import too_big
from morphnet.lab.wirecontrol import Control

BATCH = 64  # frames read from one device before the others get their turn
SLACK = 50e-6  # seconds a frame may arrive early, to save a wake-up
_FRAME = 65_536
_PCAP_HEADER = struct.pack("=IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, _FRAME, 1)  # nanosecond stamps, Ethernet
_PCAP_RECORD = struct.Struct("=IIII")
_ARP, _IPV6 = b"\x08\x06", b"\x86\xdd"
_GONE = (errno.EBADFD, errno.EBADF, errno.ENODEV)


class Wire:
    """A cable with two ends; `there` leads from the first to the second, `back` the other way."""

    def __init__(self, spec: dict[str, Any], seed: int) -> None:
        self.name = str(spec["name"])
        self.plugged = True
        self.directions = tuple(
            Direction(random.Random(f"{seed}/{self.name}/{way}"), spec.get(way)) for way in ("there", "back")
        )
        self.taps: list[int] = []
        try:
            for end in spec["ends"]:
                self.taps.append(open_tap(int(end["pid"]), str(end["device"])))
        except HostError:
            self.close()
            raise
        self._capture: BinaryIO | None = None

    def set(self, there: dict[str, Any], back: dict[str, Any]) -> None:
        """Change parameters of both directions, or of neither when one is wrong."""
        check(there)
        check(back)
        self.directions[0].set(there)
        self.directions[1].set(back)

    def plug(self, up: bool) -> None:
        """Give both ends a carrier, or take it away."""
        self.plugged = up
        for tap in self.taps:
            set_carrier(tap, up)

    def counters(self) -> dict[str, Any]:
        """Counters and parameters of both directions."""
        there, back = self.directions
        return {
            "plugged": self.plugged,
            "there": counted(there),
            "back": counted(back),
            "params": {"there": there.params, "back": back.params},
        }

    def capture(self, path: str | None) -> None:
        """Write every delivered frame to a pcap file from now on; None ends that."""
        if self._capture is not None:
            self._capture.close()
        self._capture = None if path is None else open(path, "wb")  # noqa: SIM115 - open until the next order
        if self._capture is not None:
            self._capture.write(_PCAP_HEADER)

    def flush(self) -> None:
        """Let a reader of the capture see everything so far."""
        if self._capture is not None:
            self._capture.flush()

    def deliver(self, towards: int, frame: bytes) -> None:
        """Hand one frame to an end (0 or 1); a frame in flight when the cable is pulled is lost."""
        try:
            if not self.plugged:
                raise OSError(errno.EIO, "unplugged")
            os.write(self.taps[towards], frame)
        except OSError:
            counters = self.directions[1 - towards].counters
            counters.dropped_unplugged += 1
            return
        if self._capture is not None:
            seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
            self._capture.write(_PCAP_RECORD.pack(seconds, nanoseconds, len(frame), len(frame)) + frame)

    def tell(self, end: int, frame: bytes) -> None:
        """A frame from that end was dropped: tell its sender, if it was too big and the wire is such a one."""
        direction = self.directions[end]
        mtu = direction.tells(len(frame))
        answer = too_big(frame, mtu) if mtu else None
        if answer is not None:
            direction.counters.told_mtu += 1
            self.deliver(end, answer)

    def close(self) -> None:
        """Take both devices away."""
        for tap in self.taps:
            with contextlib.suppress(OSError):
                os.close(tap)


class Loop:
    """The wires, what is under way on them, and the order in which it arrives."""

    def __init__(self, seed: int) -> None:
        self.wires: dict[str, Wire] = {}
        self.running = True
        self._seed = seed
        self._epoll = select.epoll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._flight: list[tuple[float, int, Wire, int, bytes]] = []  # deliver_at, serial, wire, end, frame
        self._serial = 0
        self._timer = Timer()
        self._armed_at: float | None = None
        self._late_most = 0.0
        self.watch(self._timer.fd, self._timer_rang)

    def watch(self, fd: int, reader: Callable[[], None]) -> None:
        """Call `reader` whenever `fd` has something to read, or has ended."""
        self._readers[fd] = reader
        self._epoll.register(fd, select.EPOLLIN)

    def forget(self, fd: int) -> None:
        """Stop watching `fd`."""
        if self._readers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def add(self, spec: dict[str, Any]) -> None:
        """
        Make the devices of a wire and begin to carry.

        :raises ConfigError: the name is taken, or a parameter is wrong.
        :raises HostError: a device could not be made.
        """
        if spec["name"] in self.wires:
            raise ConfigError(f"there is a wire {spec['name']} already; remove it first")
        wire = Wire(spec, self._seed)
        self.wires[wire.name] = wire
        for end in (0, 1):
            self.watch(wire.taps[end], self._reader(wire, end))

    def remove(self, name: str) -> None:
        """Take a wire and its devices away."""
        wire = self.wires.pop(name)
        wire.plugged = False
        for tap in wire.taps:
            self.forget(tap)
        wire.capture(None)
        wire.close()

    def run(self) -> None:
        """Carry frames until `running` is false."""
        poll, readers = self._epoll.poll, self._readers
        wait = -1.0
        while self.running:
            for fd, _ in poll(wait):
                reader = readers.get(fd)
                if reader is not None:
                    reader()
            wait = self._deliver_due()

    def stop(self) -> None:
        """End `run` after this turn."""
        self.running = False

    def load(self) -> dict[str, float]:
        """
        How busy this process is, to tell whether it is the wires that are measured or us.

        `processor` is in seconds since the start; `late_most` is the most, in seconds, that a frame was delivered too
        late since this was asked last.
        """
        late, self._late_most = self._late_most, 0.0
        return {"processor": time.process_time(), "late_most": late}

    def _timer_rang(self) -> None:
        # The next Timer.set silences it; reading would be one more system call per frame.
        self._armed_at = None

    def _deliver_due(self) -> float:
        """Deliver what is due; arm the timer for the next. The return value is epoll's timeout."""
        flight, pop = self._flight, heapq.heappop
        due = time.monotonic() + SLACK
        if flight and due - flight[0][0] > self._late_most:
            self._late_most = due - flight[0][0]
        for _ in range(4 * BATCH):
            if not flight or flight[0][0] > due:
                break
            _, _, wire, end, frame = pop(flight)
            wire.deliver(end, frame)
        else:
            return 0.0
        next_at = flight[0][0] if flight else None
        if next_at != self._armed_at or next_at is None:
            self._timer.set(next_at)
            self._armed_at = next_at
        return -1.0

    def _reader(self, wire: Wire, end: int) -> Callable[[], None]:
        tap, direction, read = wire.taps[end], wire.directions[end], os.read
        flight, push = self._flight, heapq.heappush

        def read_frames() -> None:
            now = time.monotonic()
            try:
                for _ in range(BATCH):
                    frame = read(tap, _FRAME)
                    if not wire.plugged:
                        direction.counters.dropped_unplugged += 1
                        continue
                    deliver_at = direction.take(len(frame), now, neighbour=_is_neighbour(frame))
                    if deliver_at is None:
                        wire.tell(end, frame)
                        continue
                    self._serial += 1
                    push(flight, (deliver_at, self._serial, wire, 1 - end, frame))
                    if direction.duplicate and direction.twice():
                        self._serial += 1
                        push(flight, (deliver_at, self._serial, wire, 1 - end, frame))
            except BlockingIOError:
                pass
            except OSError as error:
                if error.errno not in _GONE:
                    raise
                self.forget(tap)  # its namespace has ended; epoll would report it for ever

        return read_frames


def _is_neighbour(frame: bytes) -> bool:
    """Whether a frame is ARP, or ND (ICMPv6 types 133 to 137)."""
    kind = frame[12:14]
    return kind == _ARP or (kind == _IPV6 and len(frame) > 54 and frame[20] == 58 and 133 <= frame[54] <= 137)


def _first_line(fd: int) -> bytes:
    """The specification; unbuffered, because the end of stdin is our signal to leave."""
    line = b""
    while not line.endswith(b"\n"):
        some = os.read(fd, 65_536)
        if not some:
            break
        line += some
    return line


def _stop_at_end_of(fd: int, loop: Loop) -> Callable[[], None]:
    def read() -> None:
        if not os.read(fd, 4096):
            loop.stop()

    return read


def _stop_at_signals(loop: Loop) -> None:
    woken, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.stop())
    signal.set_wakeup_fd(waker)
    loop.watch(woken, loop.stop)


def _go_first() -> None:
    """A wire that waits for the processor is a slower wire: before all others if we may, else before most."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(2))
    except OSError:
        with contextlib.suppress(PermissionError):
            os.nice(-10)


def main(arguments: list[str]) -> int:
    """Run the wires of one lab; see the top of this file."""
    _go_first()
    try:
        spec = json.loads(_first_line(0))
        loop = Loop(int(spec.get("seed", 1)))
        control = Control(arguments[0], loop)
        for wire in spec["wires"]:
            loop.add(wire)
    except (ConfigError, HostError) as error:
        print(error, file=sys.stderr)
        return 1
    _stop_at_signals(loop)
    loop.watch(0, _stop_at_end_of(0, loop))
    print("ready", flush=True)
    gc.freeze()
    gc.disable()  # nothing here is cyclic, and a collection would delay frames
    try:
        loop.run()
    finally:
        control.close()
        for name in list(loop.wires):
            loop.remove(name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
