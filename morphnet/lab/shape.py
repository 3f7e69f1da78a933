"""What one direction of an emulated wire does to a frame: when it arrives, or why it never does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from morphnet.errors import ConfigError
from morphnet.lab.codel import CoDel

ETHERNET = 14  # bytes of Ethernet header; the rest of a frame is its IP packet
QUEUE_SECONDS = 0.1  # default depth of the queue before the bottleneck
QUEUE_LEAST = 30_000  # bytes: a slow link still holds twenty full packets, as a real modem does
QUEUE_FLOOR = 3_000  # bytes: below two full packets nothing large would ever pass

DEFAULTS: dict[str, Any] = {
    "delay": 0.0,
    "jitter": 0.0,
    "jitter_reorders": False,
    "rate": 0.0,
    "queue_ms": None,
    "queue_bytes": None,
    "codel": False,
    "loss": 0.0,
    "burst_loss": None,
    "reorder": 0.0,
    "duplicate": 0.0,
    "mtu": None,
    "mtu_told": False,
    "black_hole": False,
}
_CHANCES = ("loss", "reorder", "duplicate")
_AMOUNTS = ("delay", "jitter", "rate", "queue_ms", "queue_bytes", "mtu")
_SWITCHES = ("jitter_reorders", "codel", "mtu_told", "black_hole")


class Chance(Protocol):
    """Where the randomness comes from: `random.Random`, or a script in a test."""

    def random(self) -> float:
        """The next number, 0 <= x < 1."""


@dataclass(slots=True)
class Counters:
    """What became of the frames of one direction since the start; bytes are IP bytes."""

    packets: int = 0  # let through, duplicates not included
    bytes: int = 0
    dropped_loss: int = 0
    dropped_burst: int = 0
    dropped_queue: int = 0
    dropped_codel: int = 0
    dropped_mtu: int = 0
    told_mtu: int = 0  # of those, how many senders were told
    dropped_black_hole: int = 0
    dropped_unplugged: int = 0  # no carrier, or the far device was down or gone
    duplicated: int = 0
    reordered: int = 0  # sent ahead of the delay; jitter's own reordering is not in here
    queue_delay_last: float = 0.0  # seconds the last frame waited for the bottleneck
    queue_delay_max: float = 0.0  # seconds


class Direction:
    """
    One direction of a wire: delay, rate and queue, loss, order.

    Neighbour discovery (ARP, ND) takes no bandwidth and is spared by chance, so that a
    lossy wire loses packets and does not lose the neighbour; all else applies to it too.
    """

    def __init__(self, chance: Chance, params: Mapping[str, Any] | None = None) -> None:
        self.counters = Counters()
        self._chance = chance.random
        self._params = dict(DEFAULTS)
        self._free_at = 0.0  # when the bottleneck has sent all it holds
        self._last_at: float = 0.0  # the latest delivery promised, to keep the order
        self._in_burst = False
        self._codel: CoDel | None = None
        self.set(params or {})

    @property
    def params(self) -> dict[str, Any]:
        """The parameters in force, by name."""
        return dict(self._params)

    def set(self, params: Mapping[str, Any]) -> None:
        """
        Change some parameters; frames already under way keep their time.

        :raises ConfigError: an unknown name or a value out of range; nothing has changed then.
        """
        check(params)
        self._params.update(params)
        now = self._params
        self._delay, self._jitter = float(now["delay"]), float(now["jitter"])
        self._jitter_reorders = bool(now["jitter_reorders"])
        self._seconds_per_byte = 8 / now["rate"] if now["rate"] else 0.0
        self._queue_seconds = _queue_bytes(now) * self._seconds_per_byte
        if bool(now["codel"]) != (self._codel is not None):
            self._codel = CoDel() if now["codel"] else None
        self._loss, self._reorder = float(now["loss"]), float(now["reorder"])
        self.duplicate = float(now["duplicate"])
        burst = now["burst_loss"]
        self._burst = None if burst is None else (burst["p"], burst["r"], burst.get("loss", 1.0))
        if burst is None:
            self._in_burst = False
        self._largest = float("inf") if now["mtu"] is None else now["mtu"]
        self._tells = bool(now["mtu_told"])
        self._black_hole = bool(now["black_hole"])

    def take(self, frame_length: int, now: float, *, neighbour: bool = False) -> float | None:
        """
        Accept one frame at the near end.

        :param frame_length: bytes with the Ethernet header.
        :param neighbour: the frame is ARP or ND.
        :return: when the far end gets it, on the clock of `now`; None when it is dropped,
            and the counters say why.
        """
        counters = self.counters
        size = frame_length - ETHERNET
        if self._black_hole:
            counters.dropped_black_hole += 1
            return None
        if size > self._largest:
            counters.dropped_mtu += 1
            return None
        if not neighbour and self._unlucky():
            return None
        deliver_at = now
        if self._seconds_per_byte and not neighbour:
            left_at = self._through_bottleneck(size, now)
            if left_at is None:
                return None
            deliver_at = left_at
        counters.packets += 1
        counters.bytes += size
        return self._travel(deliver_at, neighbour)

    def tells(self, frame_length: int) -> int:
        """The MTU that the sender of the frame just dropped is to be told, or 0: ask only after a drop."""
        fits = self._black_hole or frame_length - ETHERNET <= self._largest
        return 0 if fits or not self._tells else int(self._largest)

    def twice(self) -> bool:
        """Whether the frame just taken is delivered a second time; ask only while `duplicate` is not 0."""
        if self._chance() >= self.duplicate:
            return False
        self.counters.duplicated += 1
        return True

    def _unlucky(self) -> bool:
        if self._burst is not None:
            enter, leave, loss = self._burst
            if self._chance() < (leave if self._in_burst else enter):
                self._in_burst = not self._in_burst
            if self._in_burst and (loss >= 1 or self._chance() < loss):
                self.counters.dropped_burst += 1
                return True
        if self._loss and self._chance() < self._loss:
            self.counters.dropped_loss += 1
            return True
        return False

    def _through_bottleneck(self, size: int, now: float) -> float | None:
        """When the last byte leaves the queue, or None when the packet is dropped: at its tail, or by CoDel."""
        waits = max(0.0, self._free_at - now)
        sending = size * self._seconds_per_byte
        if waits and waits + sending > self._queue_seconds:
            self.counters.dropped_queue += 1
            return None
        # What waits in front is in the queue already, so that the end of the wait is known at its beginning.
        if self._codel is not None and self._codel.drops(waits, now + waits):
            self.counters.dropped_codel += 1
            return None
        self.counters.queue_delay_last = waits
        if waits > self.counters.queue_delay_max:
            self.counters.queue_delay_max = waits
        self._free_at = now + waits + sending
        return self._free_at

    def _travel(self, left_at: float, neighbour: bool) -> float:
        if self._reorder and not neighbour and self._chance() < self._reorder:
            self.counters.reordered += 1
            return left_at
        deliver_at = left_at + self._delay
        if self._jitter:
            deliver_at += self._chance() * self._jitter
        if neighbour or (self._jitter and self._jitter_reorders):
            return deliver_at
        # A frame never overtakes the one before it, also when the delay has just been shortened.
        self._last_at = max(self._last_at, deliver_at)
        return self._last_at


def check(params: Mapping[str, Any]) -> None:
    """
    Look at the parameters of a direction without using them.

    :raises ConfigError: an unknown name or a value out of range.
    """
    for name, value in params.items():
        if name not in DEFAULTS:
            raise ConfigError(f"a wire has no parameter {name!r}; use one of {', '.join(DEFAULTS)}")
        if value is None and DEFAULTS[name] is None:
            continue
        if name in _SWITCHES and not isinstance(value, bool):
            raise ConfigError(f"set {name} of a wire to true or false")
        if name in _CHANCES and not _number(value, most=1):
            raise ConfigError(f"set {name} of a wire to a probability from 0 to 1")
        if name in _AMOUNTS and not _number(value):
            raise ConfigError(f"set {name} of a wire to a number not below 0")
        if name == "burst_loss" and not _burst(value):
            raise ConfigError('set burst_loss of a wire to {"p": .., "r": .., "loss": ..}, each from 0 to 1')


def counted(direction: Direction) -> dict[str, float]:
    """The counters of a direction, ready for JSON."""
    return asdict(direction.counters)


def _number(value: object, most: float = float("inf")) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most


def _burst(value: object) -> bool:
    if not isinstance(value, Mapping) or not {"p", "r"} <= set(value) <= {"p", "r", "loss"}:
        return False
    return all(_number(part, most=1) for part in value.values())


def _queue_bytes(params: Mapping[str, Any]) -> float:
    """How many bytes may wait: what was asked for, else a tenth of a second's worth."""
    if params["queue_bytes"] is not None:
        return max(float(QUEUE_FLOOR), float(params["queue_bytes"]))
    if params["queue_ms"] is not None:
        return max(float(QUEUE_FLOOR), float(params["rate"]) / 8 * float(params["queue_ms"]) / 1000)
    return max(float(QUEUE_LEAST), float(params["rate"]) / 8 * QUEUE_SECONDS)
