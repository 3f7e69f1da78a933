"""What morphnet needs of a machine, before any network."""

from __future__ import annotations

import errno
import os
import resource
import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from morphnet import compiled
from morphnet.cli.doctoring.checks import Check, Fault, Patient
from morphnet.config.roles import ClientConfig, ServerConfig
from morphnet.errors import ConfigError, HostError
from morphnet.host import nftrules
from morphnet.net.tun import unopened
from morphnet.ops.rundir import JOURNAL, is_too_long
from morphnet.pki.files import read_certificate
from morphnet.wire.core import CORE

TUN = "/dev/net/tun"
LEAST_DISK = 50_000_000  # bytes that are free
LEAST_INODES = 100
LEAST_FILES = 4096  # open files that who serves many needs
LEAST_BUFFER = 4 << 20  # bytes, of a socket: what a second of a few hundred Mbit/s has in flight at once
_CLOCK_SLACK = 86400.0  # seconds
_NET_ADMIN = 12  # linux/capability.h
_STATUS = Path("/proc/self/status")


def _tun_names(patient: Patient) -> Iterator[tuple[str, str]]:
    """Role, and name of its device."""
    for role in patient.of("client", "server"):
        assert isinstance(role.config, ClientConfig | ServerConfig)  # of these roles
        if role.config.tun and getattr(role.config, "mode", "tunnel") == "tunnel":
            yield role.name, role.config.tun


def tun(patient: Patient) -> Iterable[Fault]:
    """The device that makes TUNs can be opened."""
    if patient.roles and not list(_tun_names(patient)):
        return
    try:
        os.close(os.open(TUN, os.O_RDWR | os.O_CLOEXEC))
    except OSError as trouble:
        absent = trouble.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO)
        cure = "modprobe tun; in a container, give it that device" if absent else "do this as root"
        mend = (lambda: patient.kernel.run(["modprobe", "tun"])) if absent else None
        yield Fault(unopened(TUN, trouble), cure, mend=mend)


def tun_name(patient: Patient) -> Iterable[Fault]:
    """Nobody else has a device of that name."""
    names = {link.name for link in patient.facts.links}
    for role in patient.of("client", "server"):
        name = dict(_tun_names(patient)).get(role.name, "")
        if name in names and not patient.runs(role):
            text = f"there is a device {name}, and no {role.name} that runs"
            yield Fault(text, f"stop the program that has it, or choose another name: tun in {role.file}")


def powers(patient: Patient) -> Iterable[Fault]:
    """Who asks may change this machine's network: what this command says of it is then true of a start by hand."""
    lines = dict(line.partition(":")[::2] for line in _STATUS.read_text().splitlines())
    if (not patient.roles or list(_tun_names(patient))) and not int(lines["CapEff"], 16) >> _NET_ADMIN & 1:
        yield Fault("this user may not change the network of this machine", "do this as root", grave=False)


def nftables(patient: Patient) -> Iterable[Fault]:
    """The kernel answers about nftables, which NAT, the kill switch and guards are made of."""
    try:
        nftrules.forward_chains(patient.kernel.nft_dump)
    except HostError as trouble:
        if os.geteuid() == 0:
            yield Fault(f"nftables cannot be used: {trouble}", "modprobe nf_tables, or a kernel that has it")
        else:
            raise


def buffers(patient: Patient) -> Iterable[Fault]:
    """A socket may have buffers for a fast link; who may change the network has them without asking."""
    if os.geteuid() == 0:
        return
    for name in ("rmem_max", "wmem_max"):
        most = int(patient.kernel.sysctl(f"net/core/{name}"))
        if most < LEAST_BUFFER:
            text = f"net.core.{name} is {most}: a fast link loses datagrams in bursts when nobody runs as root"
            yield Fault(text, f"sysctl -w net.core.{name}={LEAST_BUFFER}", grave=False)


def files(_patient: Patient) -> Iterable[Fault]:
    """Callers have a file each."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < LEAST_FILES:
        yield Fault(f"a process may have {hard} open files: callers alone use that up", f"ulimit -Hn {LEAST_FILES}")


def disk(patient: Patient) -> Iterable[Fault]:
    """There is room where state is kept, and where sockets are."""
    seen = set[int]()
    for role in patient.roles:
        for directory in (role.config.state_dir, role.config.run_dir):
            there = next(each for each in (directory, *directory.parents) if each.exists())
            if there.stat().st_dev in seen:
                continue
            seen.add(there.stat().st_dev)
            free, about = shutil.disk_usage(there).free, os.statvfs(there)
            if free < LEAST_DISK:
                yield Fault(f"{free / 1e6:.0f} MB are free for {directory}", "make room there")
            elif about.f_files and about.f_favail < LEAST_INODES:
                yield Fault(f"{about.f_favail} more files can be made in {directory}", "remove some there")


def sockets(patient: Patient) -> Iterable[Fault]:
    """The path of a socket has an end."""
    for role in patient.roles:
        if is_too_long(role.feed):
            text = f"the path {role.feed} is too long for a socket"
            yield Fault(text, f"choose a shorter run_dir in {role.file}")


def clock(patient: Patient) -> Iterable[Fault]:
    """It is not before anything that has surely been."""
    for role in patient.of("client", "server", "relay"):
        moments = {"its journal was written": _written(role.config.state_dir / JOURNAL)}
        try:
            certificate = read_certificate(role.config.pki_dir, role.config.name)  # type: ignore[union-attr]
            moments["its certificate was made"] = certificate.not_valid_before_utc.timestamp()
        except ConfigError:
            pass  # said elsewhere
        for what, at in moments.items():
            if at > patient.now + _CLOCK_SLACK:
                day = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
                text = f"the clock of this machine is wrong: {what} on {day}"
                yield Fault(f"{role.name}: {text}", "set it, and have it kept right: timedatectl set-ntp true")
                break


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def ipv6(patient: Patient) -> Iterable[Fault]:
    """What has an inner IPv6 address can use it."""
    try:
        off = patient.kernel.sysctl("net/ipv6/conf/all/disable_ipv6") == "1"
    except HostError:
        off = True
    for role in patient.of("server"):
        assert isinstance(role.config, ServerConfig)  # of that role
        if off and role.config.pool6:
            text = "this machine has no IPv6, and hands out inner IPv6 addresses"
            yield Fault(text, "sysctl -w net.ipv6.conf.all.disable_ipv6=0, or `morphnet set pool6 ''`", grave=False)


def fast(_patient: Patient) -> Iterable[Fault]:
    """What was compiled is in use."""
    missing = [name for name, used in (("the core in C", CORE.name != "pure"), ("mypyc", compiled.IN_USE)) if not used]
    if missing:
        text = f"{' and '.join(missing)} not in use: everything works, at a third of the speed"
        yield Fault(text, "apt install gcc python3-dev, and install morphnet once more", grave=False)


CHECKS = (
    Check("a TUN device can be made", tun, ("client", "server"), before=True),
    Check("its name is free, or ours", tun_name, ("client", "server")),
    Check("this user may change the network", powers, ("client", "server"), before=True),
    Check("nftables answers", nftables, ("client", "server"), before=True),
    Check("sockets have room", buffers, ("client", "server", "relay")),
    Check("enough files may be open", files, ("server", "relay", "coordinator", "upload")),
    Check("the disk has room", disk),
    Check("sockets can have their paths", sockets),
    Check("the clock is not before what has been", clock, ("client", "server", "relay")),
    Check("IPv6 is there where it is handed out", ipv6, ("server",)),
    Check("what was compiled is in use", fast, ("client", "server"), before=True),
)
