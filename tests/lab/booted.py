"""A node of a box where systemd is the first process, with morphnet in /opt/morphnet and a shell; see booted.sh."""

from __future__ import annotations

import contextlib
import os
import shutil
import site
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from morphnet.lab import enter
from morphnet.lab.box import ROOT, BoxNode
from morphnet.lab.vpn import wait_for

SYSTEMD = "/lib/systemd/systemd"
BOOT = 20.0  # seconds, on a machine that has much else to do
_NAMESPACES = ("--mount", "--uts", "--ipc", "--pid", "--cgroup")
_SHELL = {
    "PATH": "/opt/morphnet/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
    "SYSTEMD_PAGER": "",
}
_TOUCHED = (
    "cat /etc/resolv.conf /etc/hosts; ip -br link | sort; ip rule; ip -6 rule; ip route show table all; ip -6 route;"
    "nft list ruleset;"
    "cd /proc/sys/net/ipv4; grep . ip_forward conf/*/rp_filter conf/*/forwarding"
)


def why_not() -> str | None:
    """One line when no systemd can be the first process of anything here."""
    if os.geteuid() != 0:
        return "only root can start a systemd of the whole machine's kind"
    with open("/proc/self/uid_map", encoding="ascii") as numbers:
        if int(numbers.readline().split()[2]) < 1 << 16:
            return "this user namespace has one user, and the units have users of their own"
    if not os.path.exists(SYSTEMD) or shutil.which("systemctl") is None:
        return "there is no systemd here (Debian: apt-get install systemd)"
    missing = [each for each in ("unshare", "nsenter", "pivot_root") if shutil.which(each) is None]
    return f"there is no {missing[0]} here (Debian: apt-get install util-linux)" if missing else None


class ControlGroups:
    """A place in the tree of control groups for machines, each below a group of its own."""

    def __init__(self) -> None:
        """:raises OSError: this kernel has none that we may use."""
        self._mounted = Path(tempfile.mkdtemp(prefix="morphnet-cgroup-"))
        try:
            enter.mount("cgroup2", str(self._mounted), "cgroup2", 0)
        except OSError:
            self._mounted.rmdir()
            raise
        self._groups: list[Path] = []

    def add(self, name: str) -> Path:
        """A new group."""
        group = self._mounted / f"morphnet-lab-{os.getpid()}-{name}"
        group.mkdir()
        self._groups.append(group)
        return group

    def close(self) -> None:
        """Remove them; nobody is in them any more, or about to end."""
        for group in self._groups:
            wait_for(f"{group} is empty", lambda group=group: _removed(group))  # type: ignore[misc]
        subprocess.run(["umount", str(self._mounted)], check=True)
        self._mounted.rmdir()


def _removed(group: Path) -> bool:
    for each, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(each)
    return not group.exists()


class Booted:
    """
    The machine. It ends with its node, or by `off`.

    :ivar node: has its devices and its wires; everything else is the machine's own.
    """

    def __init__(self, node: BoxNode, groups: ControlGroups, debian: Path | None = None) -> None:
        """
        Begin to boot; `wait_ready` says when it has.

        :param debian: a directory with a whole one, which is changed; None: programs of this machine, on an empty disk.
        """
        self._debian = debian
        self.node, self.name = node, node.name
        self._group = groups.add(node.name)
        self._outer: subprocess.Popen[Any] | None = None
        self.pid = 0
        self.boot()

    def boot(self) -> None:
        """On its disk."""
        root = self._debian or self.node.dir / "root"
        root.mkdir(exist_ok=True)
        prefix, python = sys.base_prefix, f"python{sys.version_info[0]}.{sys.version_info[1]}"
        script = [str(ROOT / "tests/lab/booted.sh"), str(root)]
        if self._debian is None:
            script += [str(ROOT), site.getsitepackages()[0], prefix, python]
        namespaces = ["unshare", "--fork", "--kill-child", *_NAMESPACES, "--", *script]
        command = ["sh", "-c", f'echo $$ >{self._group}/cgroup.procs && exec "$@"', "sh", *namespaces]
        self.said = (self.node.dir / "boot.log").open("w+")
        self._outer = self.node.popen(command, stdin=subprocess.DEVNULL, stdout=self.said, stderr=self.said)

    def wait_ready(self) -> None:
        """:raises NotInTime: it does not boot."""
        wait_for(f"{self.name} boots: {self._told()}", self._is_ready, BOOT)

    def _told(self) -> str:
        return (self.node.dir / "boot.log").read_text()

    def _is_ready(self) -> bool:
        assert self._outer is not None
        if not self.pid:
            children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text().split()
            if not children or Path(f"/proc/{children[0]}/comm").read_text() != "systemd\n":
                assert self._outer.poll() is None, self._told()
                return False
            self.pid = int(children[0])
        return self.sh("test -S /run/systemd/private && systemctl is-system-running")[1] == ["running"]

    def sh(self, line: str, within: float = 60.0) -> tuple[int, list[str]]:
        """What root's shell there makes of it: exit code, and lines."""
        into = ["nsenter", f"--target={self.pid}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        done = subprocess.run(
            [*into, "sh", "-c", f"cd /; {line}"],
            env=_SHELL,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=within,
        )
        return done.returncode, done.stdout.splitlines()

    def picture(self) -> str:
        """What morphnet might change there."""
        return "\n".join(self.sh(_TOUCHED)[1])

    def off(self) -> None:
        """As by its switch."""
        if self._outer is not None:
            self._outer.kill()
            self._outer.wait()
            self.said.close()
        self._outer, self.pid = None, 0
