"""An upload server that is killed at any byte, as often as one likes: what it has said to have, and what it has."""

from __future__ import annotations

import contextlib
import os
import random
import select
import time
from dataclasses import dataclass

from tests.upload_nodes import UploadNode

SIZE = 3_000_000  # bytes of each file
PART = 200_000  # bytes of each append, about
TUS = {"Tus-Resumable": "1.0.0"}


@dataclass
class Found:
    """Over all repeats."""

    repeats: int = 0
    went_back: int = 0  # offsets below one that was told before
    corrupt: int = 0  # files that are others in the end, or were to be seen before
    told: int = 0  # offsets that were told, each of which had to hold
    behind: int = 0  # bytes at most between what was sent and what was there


def _offset(node: UploadNode, target: str) -> int:
    status, headers, _ = node.ask("HEAD", target, TUS)
    return int(headers["upload-offset"]) if status == 200 else 0


def _append(node: UploadNode, target: str, data: bytes, at: int, upto: int) -> int:
    """Send bytes of a body up to there, and kill the server then; the status, if it was quicker."""
    more = f"Tus-Resumable: 1.0.0\r\nUpload-Offset: {at}\r\nContent-Type: application/offset+octet-stream\r\n"
    with contextlib.suppress(OSError), node.begin("PATCH", target, len(data) - at, b"", more=more) as line:
        line.sendall(data[at:upto])
        if upto == len(data):  # in the steps by which a file appears
            select.select([line], [], [], random.uniform(0, 0.02))
        else:
            time.sleep(random.uniform(0, 0.005))
        node.kill()
        line.setblocking(False)
        said = line.recv(65536)
        return int(said.split(b" ", 2)[1]) if said else 0
    return 0


def once(node: UploadNode, name: str, found: Found) -> None:
    """One file: some appends, a kill at any byte, all the rest."""
    data = os.urandom(SIZE)
    target, seen = node.slot(f"kills/{name}", SIZE), f"/upload/kills/{name}"
    status, _, _ = node.ask("POST", target, {**TUS, "Upload-Length": str(SIZE)})
    at = 0
    upto = random.choice((random.randrange(SIZE), random.randrange(SIZE), SIZE))
    while at + PART < upto and status in (201, 204):
        headers = {**TUS, "Upload-Offset": str(at), "Content-Type": "application/offset+octet-stream"}
        status, said, _ = node.ask("PATCH", target, headers, data[at : at + PART])
        at = int(said["upload-offset"])
        found.told += 1
    status = _append(node, target, data, at, upto)
    node.start()
    there, got = _offset(node, target), node.ask("GET", seen)
    found.went_back += there < (SIZE if status == 204 else at)
    found.behind = max(found.behind, upto - there)
    found.corrupt += (got[0] != 404) if there < SIZE else (got[2] != data)
    if there < SIZE:
        headers = {**TUS, "Upload-Offset": str(there), "Content-Type": "application/offset+octet-stream"}
        node.ask("PATCH", target, headers, data[there:])
        found.corrupt += node.ask("GET", seen)[2] != data
    found.repeats += 1


def run(count: int) -> Found:
    """So many."""
    node, found = UploadNode(), Found()
    try:
        node.start()
        for number in range(count):
            once(node, str(number), found)
    finally:
        node.end()
    return found
