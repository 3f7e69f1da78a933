"""TCP flows to `balance_world`, from a node: `python -m tests.lab.balance_flows HOST` does what it is told by lines."""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from morphnet.lab.box import BoxNode
from morphnet.lab.vpn import wait_for
from tests.lab.balance_world import FLOWS

PATIENCE = 3.0  # seconds for a flow to begin
QUIET = 1.5  # seconds without a letter: nothing comes by that flow


class Flows:
    """Those of one process."""

    def __init__(self, node: BoxNode, host: str, under: Sequence[str] = ()) -> None:
        """:param under: a command that runs them."""
        command = [*under, sys.executable, "-m", "tests.lab.balance_flows", host]
        pipe = subprocess.PIPE
        self._process: subprocess.Popen[str] = node.popen(command, stdin=pipe, stdout=pipe, text=True)

    def _ask(self, *words: object) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None  # pipes
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def open(self, count: int) -> list[str]:
        """Begin so many: where the world sees each; "" for one that nobody answers in PATIENCE."""
        return list(self._ask("open", count))

    def alive(self) -> dict[str, int]:
        """How many still bring something, by where the world sees them."""
        return dict(self._ask("alive"))

    def resets(self) -> int:
        """How many were reset."""
        return int(self._ask("resets"))

    def say(self) -> None:
        """Send a letter by each."""
        self._ask("say")

    def until_reset(self, count: int, within: float) -> None:
        """:raises NotInTime: they are not."""
        wait_for(f"{count} flows are reset", lambda: self.resets() == count, within)

    def end(self) -> None:
        """All of them."""
        self._process.kill()
        self._process.communicate()


class _Inside:
    def __init__(self, host: str) -> None:
        self._host = host
        self._flows: dict[socket.socket, tuple[str, float]] = {}
        self._reset = 0

    def open(self, count: int) -> list[str]:
        return [self._begin() for _ in range(count)]

    def _begin(self) -> str:
        try:
            flow = socket.create_connection((self._host, FLOWS), PATIENCE)
            seen = flow.makefile("rb", buffering=0).readline().decode().strip()
        except OSError:
            return ""
        flow.setblocking(False)
        self._flows[flow] = seen, time.monotonic()
        return seen

    def _read(self) -> None:
        for flow in select.select(list(self._flows), [], [], 0)[0]:
            try:
                good = flow.recv(1 << 16)
            except OSError:
                good = b""
            seen, _ = self._flows.pop(flow)
            if good:
                self._flows[flow] = seen, time.monotonic()
            else:
                self._reset += 1
                flow.close()

    def alive(self) -> dict[str, int]:
        begun = time.monotonic()
        while time.monotonic() - begun < QUIET:
            self._read()
            time.sleep(0.02)
        return Counter(seen for seen, at in self._flows.values() if time.monotonic() - at < QUIET)

    def resets(self) -> int:
        self._read()
        return self._reset

    def say(self) -> None:
        for flow in self._flows:
            flow.send(b"x")


def main() -> None:
    inside = _Inside(sys.argv[1])
    for line in sys.stdin:
        word, *rest = json.loads(line)
        print(json.dumps(getattr(inside, word)(*rest)), flush=True)


if __name__ == "__main__":
    main()
