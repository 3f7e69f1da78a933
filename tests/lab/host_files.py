"""What a machine's files go through, on a real kernel: cases of host_box."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from morphnet.host.dns import ResolvConf
from morphnet.host.hosts import BEGIN, END, HostsBlock, with_block
from morphnet.host.linux import LinuxKernel
from tests.lab.host_machine import Seen

OWN = "1.2.3.4 carl\n"


def resolv_files(place: Path) -> Seen:
    """A resolv.conf that is a file, a link, nothing, or changed by another meanwhile."""
    kernel, seen = LinuxKernel(), Seen()
    for name in ("file", "link", "none", "taken"):
        path = place / f"resolv.{name}"
        if name == "link":
            (place / "real").write_text("nameserver 9.9.9.9\n")
            path.symlink_to("real")
        elif name != "none":
            path.write_text("nameserver 1.1.1.1\n")
            path.chmod(0o640)
        before = kernel.file(str(path))
        change = ResolvConf(("10.73.0.1",), str(path)).prepared(kernel)
        change.apply(kernel)
        applied = kernel.file(str(path))
        if name == "taken":
            path.write_text("nameserver 2.2.2.2\n")
        change.undo(kernel)
        seen[name] = [applied.kind, "nameserver 10.73.0.1" in applied.content, kernel.file(str(path)) == before]
    seen["taken text"] = (place / "resolv.taken").read_text()
    seen["left"] = sorted(each.name for each in place.iterdir() if each.name.endswith(".morphnet"))
    return seen


def hosts_files(place: Path) -> Seen:
    """
    A file of names that is read all the time while our block changes: what readers found that was not whole.

    Where it can only be written in place, one who reads in pieces may get pieces of both, but always what others wrote.
    """
    kernel, seen = LinuxKernel(), Seen()
    os.umask(0o077)
    for name in ("replaced", "mounted"):
        path, torn, over = place / name, list[str](), threading.Event()
        path.write_text(OWN)
        path.chmod(0o644)
        if name == "mounted":
            subprocess.run(["mount", "--bind", path, path], check=True, env={"PATH": os.defpath})
        check = _is_whole if name == "replaced" else _begins_well
        reader = threading.Thread(target=_read_on, args=(path, check, torn, over))
        reader.start()
        with path.open() as kept:  # held, so that no other file gets its number
            for turn in range(200):
                lines = tuple(f"10.73.0.{i} peer{i + turn}" for i in range(turn % 7 * 30))
                HostsBlock(lines, str(path)).apply(kernel)
            same = os.path.samestat(os.stat(kept.fileno()), path.stat())
        HostsBlock((), str(path)).undo(kernel)
        over.set()
        reader.join()
        seen[name] = [torn, path.read_text(), path.stat().st_mode & 0o777, same]
    subprocess.run(["umount", place / "mounted"], check=True, env={"PATH": os.defpath})
    return seen


def _is_whole(text: str) -> bool:
    return with_block(text, ()) == OWN and (BEGIN in text) == (END in text)


def _begins_well(text: str) -> bool:
    return text.startswith(OWN)


def _read_on(path: Path, check: Callable[[str], bool], torn: list[str], over: threading.Event) -> None:
    while not over.is_set():
        text = path.read_text()
        if not check(text):
            torn.append(text)
