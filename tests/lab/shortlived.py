"""Routers of a village's homes that end each UDP mapping after a fixed time, however it is used."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from morphnet.lab.homes import machine
from tests.lab.case import rest
from tests.lab.village import VillageActions

EVERY = 0.1  # seconds between two looks at the sockets


class ShortLived:
    """While `run` does; between its runs nothing ends."""

    def __init__(self, village: VillageActions, life: float) -> None:
        """:param life: of a mapping, seconds."""
        self._village, self._life = village, life
        self._begun: dict[tuple[int, int], float] = {}  # (home, port inside) -> when its mapping began

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """For so long, or until that holds, asked twice a second: whether it does."""
        end = time.monotonic() + seconds
        ask_at = 0.0
        while (now := time.monotonic()) < end:
            if now >= ask_at:
                if until():
                    return True
                ask_at = now + 0.5
            self._end_old(now)
            rest(EVERY)
        return until()

    def both_know(self) -> bool:
        """Whether every machine has found out what its router does."""
        machines = self._village.machines.values()
        return all("mapping-life" in {each["kind"] for each in machine.happenings()} for machine in machines)

    def _end_old(self, now: float) -> None:
        box = self._village.box
        for home in range(len(self._village.village.names)):
            for port in _sockets_of(box.node(machine(home)).pid):
                if now - self._begun.setdefault((home, port), now) >= self._life:
                    self._begun[home, port] = now
                    box.remap_socket(f"nat{home}", port)


def _sockets_of(pid: int) -> set[int]:
    """The ports of all UDP sockets, IPv4, in the network of that process."""
    lines = Path(f"/proc/{pid}/net/udp").read_text().splitlines()[1:]
    return {int(line.split()[1].partition(":")[2], 16) for line in lines}
