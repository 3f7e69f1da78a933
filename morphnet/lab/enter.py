"""
Step into namespaces of one's own, without root and without any other program: the door of the lab.

    python -m morphnet.lab.enter -- COMMAND...             a fresh network, with a /run of its own
    python -m morphnet.lab.enter --join PID -- COMMAND...  the network of a process that is in one
    python -m morphnet.lab.enter --hold DIRECTORY          keep a fresh network until stdin ends (a node of a box)

Imports little, since every command in a box starts here. Source: namespaces(7), user_namespaces(7).
"""

from __future__ import annotations

import ctypes
import os
import sys

NEWNS, NEWUTS, NEWUSER, NEWNET = 0x00020000, 0x04000000, 0x10000000, 0x40000000
CANNOT = 77  # exit code: not here, see why_not(); what test runners take for "skipped"
PRIVATE_FILES = ("resolv.conf", "hosts")  # in /etc, one's own in every node
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 1 << 12, 1 << 14, 1 << 18
_PR_SET_PDEATHSIG, _SIGKILL = 1, 9
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_CAP_SYS_ADMIN = 1 << 21

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    """:raises OSError: when a call of the C library said -1."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """:raises OSError: the kernel does not let us have these namespaces."""
    _checked(_libc.unshare(flags), "unshare")


def setns(path: str, kind: int) -> None:
    """
    Join the namespace behind `path`.

    :param kind: NEWNET, NEWNS, NEWUTS or NEWUSER.
    :raises OSError: it is gone, or not ours to join.
    """
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _checked(_libc.setns(opened, kind), f"setns {path}")
    finally:
        os.close(opened)


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """:raises OSError: as mount(2)."""
    words = [None if word is None else word.encode() for word in (source, target, kind, data)]
    result = _libc.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3])
    _checked(result, f"mount {target}")


def bind(source: str, target: str) -> None:
    """Let `source` appear at `target` too."""
    mount(source, target, None, _MS_BIND)


def die_with_parent() -> None:
    """Be killed as soon as the thread that started us ends; outlives exec."""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0), "prctl")


def raise_loopback() -> None:
    """Bring `lo` up, with its 127.0.0.1 and ::1."""
    import fcntl
    import socket
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        asked = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(door, _SIOCGIFFLAGS, asked))[1]
        fcntl.ioctl(door, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def privileged() -> bool:
    """Whether we may make namespaces without a user namespace around them."""
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) & _CAP_SYS_ADMIN)
    return False


def become_root() -> None:
    """Into a user namespace where we are root, unless we have the privilege already."""
    if privileged():
        return
    user, group = os.geteuid(), os.getegid()
    unshare(NEWUSER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def fresh() -> None:
    """Into a new network, mount and UTS namespace; no mount made from now on is seen outside. `lo` is up."""
    become_root()
    unshare(NEWNET | NEWNS | NEWUTS)
    mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    raise_loopback()


def why_not() -> str | None:
    """One line that says why there can be no lab here, or None. Tried in a child: we stay where we are."""
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        return "there is no /dev/net/tun: load the kernel module tun"
    except PermissionError:
        return "we may not open /dev/net/tun: give it the mode 0666"
    except OSError as error:
        return f"/dev/net/tun does not open: {error.strerror}"
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            fresh()
            os._exit(0)
        except OSError as error:
            os.write(writing, str(error.strerror or error).encode()[:200])
        finally:
            os._exit(1)
    os.close(writing)
    said = os.read(reading, 256).decode()
    os.close(reading)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        return None
    return f"this kernel lets us have no namespaces of our own ({said}): allow unprivileged user namespaces, or be root"


def join(pid: int) -> None:
    """Into the network, the mounts and the host name of process `pid`; the working directory stays."""
    here = os.getcwd()
    if os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/self/ns/user"):
        setns(f"/proc/{pid}/ns/user", NEWUSER)
    setns(f"/proc/{pid}/ns/uts", NEWUTS)
    setns(f"/proc/{pid}/ns/net", NEWNET)
    setns(f"/proc/{pid}/ns/mnt", NEWNS)
    os.chdir(here)


def hold(directory: str) -> None:
    """
    A network, kept until stdin ends; says "ready".

    :param directory: its `run` becomes /run, its `resolv.conf` and `hosts` those in /etc, its name our host name.
    """
    die_with_parent()
    fresh()
    name = os.path.basename(directory).encode()
    _checked(_libc.sethostname(name, ctypes.c_size_t(len(name))), "sethostname")
    for file in PRIVATE_FILES:
        if os.path.exists(f"/etc/{file}"):  # where it leads into /run, the new /run would hide it
            bind(f"{directory}/{file}", os.path.realpath(f"/etc/{file}"))
    for file in PRIVATE_FILES:
        target = os.path.realpath(f"/etc/{file}")
        if target.startswith("/run/"):
            inside = f"{directory}/run/{target.removeprefix('/run/')}"
            os.makedirs(os.path.dirname(inside), exist_ok=True)
            if not os.path.lexists(inside):
                os.link(f"{directory}/{file}", inside)
    bind(f"{directory}/run", "/run")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while os.read(0, 4096):
        pass


def _execute(command: list[str]) -> int:
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"enter: {command[0]}: {error.strerror}", file=sys.stderr)
        return 127


def _enter(command: list[str]) -> int:
    reason = why_not()
    if reason is not None:
        print(f"enter: {reason}", file=sys.stderr)
        return CANNOT
    fresh()
    mount("tmpfs", "/run", "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=0755")
    return _execute(command)


def main(arguments: list[str]) -> int:
    """The command line; returns only when there is nothing to execute."""
    if arguments[:1] == ["--hold"] and len(arguments) == 2:
        hold(os.path.abspath(arguments[1]))
        return 0
    if arguments[:1] == ["--join"] and arguments[2:3] == ["--"] and arguments[3:] and arguments[1].isdigit():
        try:
            join(int(arguments[1]))
        except OSError as error:
            print(f"enter: process {arguments[1]} cannot be joined: {error.strerror}", file=sys.stderr)
            return CANNOT
        die_with_parent()
        return _execute(arguments[3:])
    if arguments[:1] == ["--"] and arguments[1:]:
        return _enter(arguments[1:])
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
