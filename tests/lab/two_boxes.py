"""Two network namespaces joined by one emulated wire, for the tests of the lab's own tools."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from typing import Any

from morphnet.lab.enter import privileged, why_not
from morphnet.lab.wireclient import WireClient

_SET_UP = """
import sys
from pyroute2 import IPRoute
device, v4, v6 = sys.argv[1:]
with IPRoute() as routes:
    (index,) = routes.link_lookup(ifname=device)
    routes.link("set", index=index, state="up")
    routes.addr("add", index=index, address=v4, prefixlen=24)
    routes.addr("add", index=index, address=v6, prefixlen=64, flags=2)
"""


def cannot() -> str | None:
    """Why there can be no two boxes here, or None: the wire stands outside of both, so it must be root."""
    return why_not() or (None if privileged() else "the wire between two separate boxes needs root")


class TwoBoxes:
    """
    Box 0 has 10.0.0.1 and fd00::1 on `left`, box 1 has 10.0.0.2 and fd00::2 on `right`.

    `there` leads from box 0 to box 1. Every process ends with `close`.
    """

    def __init__(self, there: dict[str, Any] | None = None, back: dict[str, Any] | None = None) -> None:
        self._processes: list[subprocess.Popen[str]] = []
        self.directory = tempfile.TemporaryDirectory(prefix="wire")
        self._boxes = [self._start(_module("enter", "--", "cat")) for _ in range(2)]
        for box in self._boxes:
            assert box.stdin is not None and box.stdout is not None
            box.stdin.write("ready\n")
            box.stdin.flush()
            assert box.stdout.readline() == "ready\n", "no namespaces here"
        ends = [{"pid": box.pid, "device": name} for box, name in zip(self._boxes, ("left", "right"), strict=True)]
        self.pids = [box.pid for box in self._boxes]
        self.socket_path = os.path.join(self.directory.name, "wire.sock")
        self.wire_process = self._start(_module("wire", self.socket_path))
        wire = {"name": "cable", "ends": ends, "there": there or {}, "back": back or {}}
        assert self.wire_process.stdin is not None and self.wire_process.stdout is not None
        self.wire_process.stdin.write(json.dumps({"seed": 1, "wires": [wire]}) + "\n")
        self.wire_process.stdin.flush()
        assert self.wire_process.stdout.readline() == "ready\n"
        self.wire = WireClient(self.socket_path, "cable")
        for number, device in enumerate(("left", "right")):
            self.run(number, [sys.executable, "-c", _SET_UP, device, f"10.0.0.{number + 1}", f"fd00::{number + 1}"])

    def start(self, box: int, command: list[str]) -> subprocess.Popen[str]:
        """Start a command in a box."""
        return self._start(_module("enter", "--join", str(self._boxes[box].pid), "--", *command))

    def run(self, box: int, command: list[str]) -> str:
        """What a command in a box prints; its exit code does not matter."""
        process = self.start(box, command)
        output, _ = process.communicate(timeout=60)
        return output

    def tool(self, box: int, *words: str) -> list[dict[str, Any]]:
        """The JSON lines a traffic tool prints."""
        return lines(self.run(box, _module(*words)))

    def start_tool(self, box: int, *words: str) -> subprocess.Popen[str]:
        """Start a traffic tool."""
        return self.start(box, _module(*words))

    def carrier(self, box: int) -> bool:
        """Whether a box sees the cable."""
        return self.run(box, [sys.executable, "-c", _SEE, ("left", "right")[box]]).strip() == "True"

    def end_box(self, box: int) -> None:
        """Let the namespace of a box go."""
        stdin = self._boxes[box].stdin
        assert stdin is not None
        stdin.close()
        self._boxes[box].wait(5)

    def wire_cpu(self) -> float:
        """Seconds of processor the wire process has used."""
        with open(f"/proc/{self.wire_process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End everything."""
        for process in reversed(self._processes):
            for stream in (process.stdin, process.stdout):
                if stream is not None and not stream.closed:
                    stream.close()
            try:
                process.wait(2 if process in (self.wire_process, *self._boxes) else 0.01)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.directory.cleanup()

    def _start(self, command: list[str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._processes.append(process)
        return process


_SEE = """
import sys
from pyroute2 import IPRoute
with IPRoute() as routes:
    (link,) = routes.get_links(ifname=sys.argv[1])
    print(bool(link.get_attr("IFLA_CARRIER")))
"""


def lines(output: str) -> list[dict[str, Any]]:
    """Parse the JSON lines of a tool."""
    return [json.loads(line) for line in output.splitlines()]


def _module(name: str, *words: str) -> list[str]:
    return [sys.executable, "-m", f"morphnet.lab.{name}", *words]
