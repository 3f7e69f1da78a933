"""A role as a process in the background, where no systemd runs: with a file that has its number, and a log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from morphnet.cli.running import Role
from morphnet.errors import HostError
from morphnet.ops.rundir import JOURNAL, MANHOLE
from morphnet.ops.running import Held, server_of

START = 60.0  # seconds that a start may take
TWISTD = "morphnet.tap.twistd"
STOP = 6.0  # seconds that a stop may take: 3, and as many for a machine that is busy


def start(role: Role) -> None:
    """
    Returns when it has opened everything.

    :raises HostError: it does not start, and why.
    """
    for directory in (role.config.run_dir, role.config.state_dir):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in (role.pid_file, role.log):
        _check_ours(file.parent)
    options = [f"--pidfile={role.pid_file}", f"--logfile={role.log}", "--rundir=/"]
    command = [sys.executable, "-P", "-m", TWISTD, *options, role.program, "--config", str(role.file)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=START,
            umask=0o077,
        )
    except subprocess.TimeoutExpired:
        raise HostError(f"the {role.name} has not started within {START:g} s: see {role.log}") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("morphnet: ")]
        why = said[0].removeprefix("morphnet: ") if said else f"it does not start: see {role.log}"
        raise HostError(f"{role.name}: {why}")


def _check_ours(directory: Path) -> None:
    """What root writes there, another user could have put a link in the place of."""
    owner = directory.stat().st_uid
    if os.geteuid() != owner and not (os.geteuid() == 0 and owner == os.stat("/").st_uid):
        raise HostError(f"{directory} is another user's: do this as that user, or chown it")


def restart(role: Role) -> None:
    """
    End it and start the next one, which goes on with connections that are there.

    :raises HostError: as `start`, or it is another user's.
    """
    stop(role, signal.SIGUSR2 if role.changes_host else signal.SIGTERM)
    start(role)


def stop(role: Role, told: signal.Signals = signal.SIGTERM) -> bool:
    """
    Returns when it has ended and the host is as it was; answers with whether it ran.

    :param told: how it is asked to end.
    :raises HostError: it is another user's.
    """
    process = role.process()
    if process:
        held = Held(process)
        try:
            held.tell(told)
            held.tell(signal.SIGCONT)  # one that was stopped does not hear
            if not held.ended(STOP):
                held.tell(signal.SIGKILL)
                held.ended(STOP)
        finally:
            held.close()
    return bool(process)


def undo(role: Role) -> int:
    """
    Undo what a process that was killed has left behind; answers with the number of changes.

    :raises HostError: somebody has the journal, or this user may not.
    """
    journal = role.config.state_dir / JOURNAL
    try:
        about = journal.stat()
    except FileNotFoundError:
        return 0
    if about.st_uid != os.geteuid() or not about.st_size:
        return 0  # of a service's user: its next start does it. Nobody else's word is taken for what was there before
    from morphnet.host.host import Host  # brings netlink

    host = Host(journal)
    try:
        return host.recover()
    finally:
        host.down()


def tidy(role: Role) -> None:
    """Remove what a process leaves that did not come to its end; another role may have the same run_dir."""
    sockets = () if server_of(role.feed) else (role.feed, role.feed.with_name(MANHOLE))
    for file in (role.pid_file, *sockets):
        with suppress(OSError):  # another user's: the next start does it
            file.unlink(missing_ok=True)
