"""Flows to `balance_world` from a node: `python -m tests.lab.balance_flows HOST PORT` does what it is told by lines."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from morphnet.lab.box import BoxNode
from morphnet.lab.vpn import wait_for
from tests.lab.balance_world import BULK, FLOWS

PATIENCE = 3.0  # seconds for a flow to begin
ANSWER = 1.0  # seconds for one to a datagram
QUIET = 1.5  # seconds without a letter: nothing comes by that flow


class Flows:
    """Those of one process."""

    def __init__(self, node: BoxNode, host: str, under: Sequence[str] = (), port: int = FLOWS) -> None:
        """:param under: a command that runs them."""
        command = [*under, sys.executable, "-m", "tests.lab.balance_flows", host, str(port)]
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

    def begin(self, count: int, every: float) -> list[str]:
        """As `open`, one after so many seconds each, whatever becomes of the one before."""
        return list(self._ask("begin", count, every))

    def alive(self) -> dict[str, int]:
        """How many still bring something, by where the world sees them."""
        return dict(self._ask("alive"))

    def resets(self) -> int:
        """How many were reset."""
        return int(self._ask("resets"))

    def say(self) -> None:
        """Send a letter by each."""
        self._ask("say")

    def ask(self, count: int) -> list[str]:
        """Send a datagram by each of so many new sockets: where the world sees each; "" for one without an answer."""
        return list(self._ask("ask", count))

    def ask_again(self) -> list[str]:
        """By each of those there are."""
        return list(self._ask("ask_again"))

    def become(self, user: int) -> None:
        """What is begun from now on is of another user."""
        self._ask("become", user)

    def pull(self, *devices: str, seconds: float) -> list[int]:
        """How many bytes come by each device at once in that time, as fast as it lets them."""
        return list(self._ask("pull", devices, seconds))

    def until_reset(self, count: int, within: float) -> None:
        """:raises NotInTime: they are not."""
        wait_for(f"{count} flows are reset", lambda: self.resets() == count, within)

    def end(self) -> None:
        """All of them."""
        self._process.kill()
        self._process.communicate()


class _Inside:
    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._flows: dict[socket.socket, tuple[str, float]] = {}
        self._asking: list[socket.socket] = []
        self._reset = 0

    def open(self, count: int) -> list[str]:
        return [self._begin() for _ in range(count)]

    def begin(self, count: int, every: float) -> list[str]:
        with ThreadPoolExecutor(count) as at_once:
            begun = []
            for _ in range(count):
                begun.append(at_once.submit(self._begin))
                time.sleep(every)
            return [each.result() for each in begun]

    def _begin(self) -> str:
        try:
            flow = socket.create_connection((self._host, self._port), PATIENCE)
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
        self._read()  # the first one takes what had come before a reset
        return self._reset

    def say(self) -> None:
        for flow in self._flows:
            flow.send(b"x")

    def ask(self, count: int) -> list[str]:
        made = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
        for each in made:
            each.settimeout(ANSWER)
            each.connect((self._host, FLOWS))
        self._asking += made
        return self._answers(made)

    def ask_again(self) -> list[str]:
        return self._answers(self._asking)

    def _answers(self, asking: list[socket.socket]) -> list[str]:
        for each in asking:
            each.send(b"?")
        found = []
        for each in asking:
            try:
                found.append(each.recv(99).decode())
            except OSError:
                found.append("")
        return found

    def become(self, user: int) -> None:
        socket.getaddrinfo(self._host, self._port)  # reads files of Python's that others may not
        os.seteuid(user)

    def pull(self, devices: list[str], seconds: float) -> list[int]:
        with ThreadPoolExecutor(len(devices)) as at_once:
            return list(at_once.map(lambda each: self._pull(each, seconds), devices))

    def _pull(self, device: str, seconds: float) -> int:
        until, size = time.monotonic() + seconds, 0
        with socket.socket() as flow:
            flow.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
            flow.settimeout(PATIENCE)
            flow.connect((self._host, BULK))
            while time.monotonic() < until:
                size += len(flow.recv(1 << 16))
        return size


def main() -> None:
    inside = _Inside(sys.argv[1], int(sys.argv[2]))
    for line in sys.stdin:
        word, *rest = json.loads(line)
        print(json.dumps(getattr(inside, word)(*rest)), flush=True)


if __name__ == "__main__":
    main()
