"""
What the upload server holds out: how fast it is beside others, and whether every one of a crowd arrives.

    python -m tests.bench.bench_upload [--short] [--size MB] [--repeats N] [crowd|beside|cuts|kills|hostile|many]

`crowd`: 1000 uploads at once, 100 clients that change their network every 10 s, 500 that are cut three times each, 100
files of 1 GB at once: all arrive, no offset goes back, and memory stays. `beside`: one file of 1 GB after the other, to
each server in turn. `cuts` (F1, F2): 1 GiB, or what `--size` says, over 20 cuts, each time from another address, and
half of the old connections left half-open. `kills` (F3): the server is killed at any byte, 100 times or as often as
`--repeats` says. `many` (F9): `--files` of 1 GB, or `--size`, at once, `--rate` MB/s together, on a disk that need not
have room for them. `hostile` (F7): a GB, or what `--size` says, of each thing that nobody sends who means well. All on
loopback, the clients are processes of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests import upload_cuts, upload_floods
from tests.bench import upload_kills
from tests.bench.measured import Measured, middle, tell
from tests.bench.upload_many import KEPT, Warden, send
from tests.bench.upload_probes import Asks, Probe, TakesOver, waited_for_processor
from tests.bench.upload_rivals import SECRET, SETTINGS, Nginx, Ours, Prosody, Rival, TusServer, most_memory, processor
from tests.ports import free_port

RIVALS: tuple[type[Rival], ...] = (Nginx, Prosody, TusServer)
NGINX, PROSODY = 0.5, 3.0  # as much of their throughput as was asked for
FLOOD = 12.0  # MB by which memory may grow, whatever comes
WAITS = {  # what is asked for, as it is called, and ms that it may take
    "waits": ("another request", 100.0),
    "loop": ("its loop", 50.0),  # at a port where nobody else asks
    "taken": ("a hung connection is ended after", 100.0),
}
AGAIN = 1024  # KiB that may be sent again after a cut
MEMORY, FEW = 150.0, 100  # MB with so many files at once, however large they are
MB = 1_000_000


def crowd(server: Ours, quiet: int, kind: str, count: int, size: int, seconds: float = 0.0) -> dict[str, Any]:
    """
    One of them: what it has said, and how long others waited meanwhile.

    :param quiet: a port of the server where nobody else asks.
    """
    pid, port = server.pid, server.node.port
    probes: dict[str, Probe] = {"waits": Asks(pid, port, "/upload/nothing/here"), "loop": Asks(pid, quiet, "/nothing")}
    probes["taken"] = TakesOver(pid, server.node)
    waited, begun = waited_for_processor(server.pid), time.monotonic()
    for probe in probes.values():
        probe.start()
    words = [sys.executable, "-m", "tests.bench.upload_crowd", kind, str(server.node.port), SECRET]
    done = subprocess.run([*words, str(count), str(size), str(seconds)], stdout=subprocess.PIPE, text=True, check=True)
    share = 100 * (waited_for_processor(server.pid) - waited) / (time.monotonic() - begun)
    return {**json.loads(done.stdout), **{name: probe.end() for name, probe in probes.items()}, "late": round(share)}


def crowds(*, short: bool) -> None:
    """Whether every one of them arrives."""
    cases = (
        ("at once", "together", 1000, MB, 0.0),
        ("every 10 s another network", "moving", FEW, 5 * MB, 10.0 if short else 100.0),
        ("cut three times each", "cut", 500, MB, 0.0),
        ("large ones at once", "together", FEW, 20 * MB if short else 1000 * MB, 0.0),
    )
    for name, kind, count, size, seconds in cases:
        quiet = free_port()
        server = Ours(f'{SETTINGS}metrics = "127.0.0.1:{quiet}"\n')
        try:
            server.start()
            said = crowd(server, quiet, kind, count, size, seconds)
            label = f"{count} of {size // MB} MB {name.replace('10 s', 's') if short else name}"
            tell(Measured("F9", f"{label}: arrived", 100 * said["arrived"] / count, "%", 100.0))
            tell(Measured("F9", f"{label}: offsets that went back", said["went_back"], "", 0.0, "less"))
            if kind != "together":
                tell(Measured("F9", f"{label}: cuts", said["cuts"], ""))
            for what, (name, most) in WAITS.items():
                whole, alone = said[what]
                tell(Measured("F9", f"{label}: {name}, p99", whole, "ms"))
                tell(Measured("F9", f"{label}: {name}, p99, without waits for a processor", alone, "ms", most, "less"))
            tell(Measured("F9", f"{label}: it was ready, and had no processor", said["late"], "% of the time"))
            memory = round(most_memory(server.pid), 1)
            tell(Measured("F9", f"{label}: most memory", memory, "MB", MEMORY if count == FEW else None, "less"))
        finally:
            server.end()


def many(count: int, size: int, rate: int) -> None:
    """What memory that takes, from the first byte to the last; `size` in bytes, `rate` in bytes a second."""
    server = Ours()
    try:
        server.start()
        warden = Warden(server.node.directory / "state" / "files", server.pid, count, size)
        warden.start()
        send(server.node.port, SECRET, count, size, rate)
        found = warden.end()
        label = f"{count} of {size // MB} MB at once, {rate // MB} MB/s"
        tell(Measured("F9", f"{label}: arrived", 100 * found.whole / count, "%", 100.0))
        tell(Measured("F9", f"{label}: of {KEPT} that were looked at the same", found.same, "", KEPT))
        tell(Measured("F9", f"{label}: most memory", round(most_memory(server.pid), 1), "MB", MEMORY, "less"))
        tell(Measured("F9", f"{label}: room on the disk, at most", round(found.most_room / MB), "MB"))
        for tenth in (1, 5, 9):
            at, memory = found.memory[len(found.memory) * tenth // 10]
            tell(Measured("F9", f"{label}: memory after {at:.0f} s", round(memory, 1), "MB", MEMORY, "less"))
    finally:
        server.end()


def _file(path: Path, size: int) -> Path:
    """One of random bytes."""
    with path.open("wb") as target:
        for _ in range(size // MB):
            target.write(os.urandom(MB))
    return path


def beside(size: int, *, short: bool) -> None:
    """How fast it is; `size` in bytes."""
    rounds = 3 if short else 5
    with tempfile.TemporaryDirectory() as place:
        files = {part: _file(Path(place) / f"file{part}", size // part) for part in (1, Prosody.part)}
        servers: list[Rival] = [Ours()]
        servers += [each() for each in RIVALS if each.is_here()]
        rates: dict[str, list[float]] = {each.name: [] for each in servers}
        costs: dict[str, list[float]] = {each.name: [] for each in servers}
        try:
            for each in servers:
                each.start()
            for _ in range(rounds):
                for each in servers:
                    before = processor(each.pid)
                    seconds = each.upload(files[each.part])
                    sent = files[each.part].stat().st_size
                    rates[each.name].append(sent / MB / seconds)
                    costs[each.name].append((processor(each.pid) - before) * 1000 * MB / sent)
        finally:
            for each in servers:
                each.end()
    mine = middle(rates["morphnet"])
    for name in (each for each in rates if each != "morphnet"):
        share = {"nginx": NGINX, "prosody": PROSODY}.get(name)
        its = middle(rates[name])
        wanted = round(its * share, 1) if share else None
        told = tuple(round(each, 1) for each in rates["morphnet"])
        tell(Measured("F12", f"beside {name}", mine, "MB/s", wanted, "more", name, its, told))
        cost = middle(costs["morphnet"], 2)
        tell(Measured("F12", f"processor, beside {name}", cost, "s/GB", None, "less", name, middle(costs[name], 2)))
    if len(rates) == 1:
        tell(Measured("F12", "alone", mine, "MB/s"))


def kills(count: int) -> None:
    """Whether what was told is there after a kill."""
    found = upload_kills.run(count)
    label = f"killed {found.repeats} times, of {found.told} offsets: went back"
    tell(Measured("F3", label, found.went_back, "", 0, "less"))
    tell(Measured("F3", "files that were not the ones that were sent", found.corrupt, "", 0, "less"))
    tell(Measured("F3", "sent, but not there", round(found.behind / 1024), "KiB", 8192, "less"))


def cuts(size: int) -> None:
    """What is sent again after a cut."""
    server = Ours()
    try:
        server.start()
        sent = upload_cuts.send(server.node, size, 20)
    finally:
        server.end()
    twice, queued = (round(max(each) / 1024) for each in (sent.twice, sent.queued))
    tell(Measured("F1", "that had arrived, sent again after one of 20 cuts, at most", twice, "KiB", AGAIN, "less"))
    tell(Measured("F1", "still with the client's kernel at a cut, at most", queued, "KiB"))
    tell(Measured("F1", "offsets that went back", sent.went_back, "", 0, "less"))
    tell(Measured("F1", "the file is the same", int(sent.same), "", 1))
    tell(Measured("F2", "offset told, at most after", round(1000 * max(sent.asked), 1), "ms", 100.0, "less"))
    tell(Measured("F2", "old connections that were left", sent.left_open, "", 0, "less"))


def hostile(size: int) -> None:
    """Whether each has its status, and memory stays."""
    server = Ours()
    try:
        server.start()
        upload_floods.forged(server.node, 300)
        before = upload_floods.memory(server.node)
        for pieces, status in upload_floods.FLOODS:
            found, sent = upload_floods.flood(server.node, pieces(size))
            label = f"{pieces.__name__.replace('_', ' ')}, status {found}, {sent // 1000} kB read"
            grown = (upload_floods.memory(server.node) - before) / 1e6
            tell(Measured("F7", label, round(grown, 1), "MB more", FLOOD if found == status else -1.0, "less"))
    finally:
        server.end()


if __name__ == "__main__":
    PARSER = argparse.ArgumentParser()
    PARSER.add_argument("--short", action="store_true")
    PARSER.add_argument("--size", type=int, default=0, help="MB of each file, beside others")
    PARSER.add_argument("--repeats", type=int, default=0, help="kills")
    PARSER.add_argument("--files", type=int, default=100, help="many")
    PARSER.add_argument("--rate", type=int, default=100, help="MB/s of many")
    PARSER.add_argument("what", nargs="*", default=["crowd", "beside"])
    GIVEN = PARSER.parse_args()
    if "crowd" in GIVEN.what:
        crowds(short=GIVEN.short)
    if "beside" in GIVEN.what:
        beside((GIVEN.size or (200 if GIVEN.short else 1000)) * MB, short=GIVEN.short)
    if "cuts" in GIVEN.what:
        cuts(GIVEN.size * MB or ((20 if GIVEN.short else 1024) << 20))
    if "kills" in GIVEN.what:
        kills(GIVEN.repeats or (5 if GIVEN.short else 100))
    if "many" in GIVEN.what:
        many(3 if GIVEN.short else GIVEN.files, (GIVEN.size or 1000) * MB, GIVEN.rate * MB)
    if "hostile" in GIVEN.what:
        hostile((GIVEN.size or (6 if GIVEN.short else 1000)) * MB)
