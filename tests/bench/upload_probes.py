"""
How long an upload server lets somebody wait, asked all the time while others upload.

Both as it was, and without the time for which the server, or who asks, was ready to run and had no processor: what
others did on the machine at the same time.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import secrets
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

from tests.upload_nodes import UploadNode

EVERY = 0.05  # seconds
PATIENCE = 30.0
PROMISED = "Upload-Draft-Interop-Version: 6\r\nUpload-Complete: ?1\r\n"
TUS = {"Tus-Resumable": "1.0.0"}


class Probe(Thread):
    """Something that is done again and again. `took`: seconds, of each time, and of these without a processor."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._over, self.took = pid, Event(), list[tuple[float, float]]()

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """This is it."""
        begun, late = time.monotonic(), self._late()
        try:
            yield
        finally:
            self.took.append((time.monotonic() - begun, self._late() - late))

    def _late(self) -> float:
        return waited_for_processor(self._pid) + waited_for_processor(os.getpid(), threading.get_native_id())

    def once(self) -> None:
        """Do it."""
        raise NotImplementedError

    def run(self) -> None:
        while not self._over.wait(EVERY):
            with contextlib.suppress(TimeoutError):  # of what goes before it, and after
                self.once()

    def end(self) -> tuple[float, float]:
        """Milliseconds in which 99 of 100 were done, and the same where a processor is always free."""
        self._over.set()
        self.join()
        assert self.took, "nothing was measured"
        each = [took for took, _ in self.took], [took - late for took, late in self.took]
        last = int(len(self.took) * 0.99)
        whole, alone = (round(1000 * sorted(times)[last], 1) for times in each)
        return whole, alone


class Asks(Probe):
    """
    Asks for nothing much, on one connection.

    :param target: what is asked for: what the records are asked for, or what its loop answers by itself.
    """

    def __init__(self, pid: int, port: int, target: str) -> None:
        super().__init__(pid)
        self._target = target
        self._line = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def once(self) -> None:
        with self.timed():
            self._line.request("HEAD", self._target)
            self._line.getresponse().read()


class TakesOver(Probe):
    """Leaves a connection hung within its body, and goes on with the upload: how long is the old one open?"""

    def __init__(self, pid: int, node: UploadNode) -> None:
        super().__init__(pid)
        self._node = node

    def once(self) -> None:
        node, size = self._node, 1 << 20
        target = node.slot(f"taken/{secrets.token_hex(8)}", size)
        if node.ask("POST", target, {**TUS, "Upload-Length": str(size)})[0] != 201:
            return
        with node.begin("PUT", target, size, b"x" * 2000, more=PROMISED) as old:
            if b" 104 " not in old.recv(4096):  # it is told then where it can go on: it writes
                return
            with socket.create_connection((node.host, node.port), timeout=PATIENCE) as new:
                with self.timed():
                    new.sendall(f"HEAD {target} HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\n\r\n".encode())
                    select.select([old], [], [], PATIENCE)
                with contextlib.suppress(ConnectionResetError):
                    assert not old.recv(1), "the old one was answered"
                new.recv(4096)
        node.ask("DELETE", target, TUS)


def waited_for_processor(pid: int, thread: int = 0) -> float:
    """Seconds for which a thread of a process, 0: its first, was ready to run, and others ran."""
    return int(Path(f"/proc/{pid}/task/{thread or pid}/schedstat").read_text().split()[1]) / 1e9
