"""
`morphnet console`: into the running process, by its own ssh door.

Root may look at a process of another user's, whose directory is that user's to fill. So nothing there says what is run
here: ssh is told all on its command line, reads no configuration, and gets the key from a copy of our own; the key is
read with that user's rights; and what the process shows passes a filter before it reaches the terminal.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import click

from morphnet.cli.layout import Place, dir_option
from morphnet.cli.live import run_dir_option
from morphnet.errors import HostError
from morphnet.ops import pipe
from morphnet.ops.rundir import CONSOLE_KEY, MANHOLE, USER
from morphnet.ops.terminal import RESTORED, TerminalFilter
from morphnet.rights import rights_of

_MOST_KEY = 16384  # bytes
_CHUNK = 1 << 16


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@run_dir_option
@dir_option
def console(command: tuple[str, ...], run_dir: Path | None, place: Place) -> None:
    """
    The manhole: a Python prompt in the running process, or one COMMAND there.

    For example: morphnet console 'paths()'. The prompt says what else can be asked.
    """
    door = run_dir / MANHOLE if run_dir else place.running(MANHOLE)
    client = shutil.which("ssh")
    if client is None:
        raise HostError("the console needs the ssh client: install openssh-client")
    key = console_key(door.parent)
    prompt = not command and sys.stdin.isatty()
    with tempfile.TemporaryDirectory(prefix="morphnet-") as own:  # 0700
        identity = Path(own) / "key"
        descriptor = os.open(identity, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(key)
        code = _talk([client, *ssh_options(door, identity, prompt=prompt), "--", *command], prompt=prompt)
    raise SystemExit(code)


def console_key(run_dir: Path) -> bytes:
    """
    The local operator's key of the process that runs there.

    :raises HostError: there is none, or it may not be read.
    """
    path = run_dir / CONSOLE_KEY
    with rights_of(run_dir):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise HostError(f"no morphnet with a manhole is running here (there is no {path})") from None
        except PermissionError:
            raise HostError(f"{path} may only be used by root or the owner of the process") from None
        except OSError as trouble:
            raise HostError(f"cannot read {path}: {trouble.strerror}") from None
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise HostError(f"{path} is no file: remove it, and restart the process")
        return file.read(_MOST_KEY)


def ssh_options(door: Path, identity: Path, *, prompt: bool) -> list[str]:
    """
    All that ssh shall know: it enters as the local operator, by the unix socket `door`, and offers no other key.

    No host key is compared. Who could put another process behind that socket could change whatever we compared with.
    """
    carry = [sys.executable or "python3", "-I", "-S", str(Path(pipe.__file__).resolve()), str(door.absolute())]
    settings = {
        "ProxyCommand": shlex.join(carry).replace("%", "%%"),
        "HostName": "localhost",
        "User": USER,
        "IdentityFile": f'"{identity}"'.replace("%", "%%"),
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "PreferredAuthentications": "publickey",
        "BatchMode": "yes",
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null",
        "GlobalKnownHostsFile": "/dev/null",
        "UpdateHostKeys": "no",
        "ClearAllForwardings": "yes",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "ControlPath": "none",
        "PermitLocalCommand": "no",
        "LogLevel": "ERROR",
    }
    words = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    return ["-F", "/dev/null", "-t" if prompt else "-T", *words, "morphnet"]


def _talk(words: Sequence[str], *, prompt: bool) -> int:
    """Run ssh, with our terminal to read from and a filter between it and what it writes: its exit code."""
    sys.stdout.flush()
    with _terminal_as_it_was(prompt), subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as ssh:
        assert ssh.stdout is not None and ssh.stderr is not None  # asked for above
        try:
            _pass_on(((ssh.stdout, 1), (ssh.stderr, 2)))
            return ssh.wait()
        except KeyboardInterrupt:
            ssh.terminate()
            return 130


def _pass_on(streams: Sequence[tuple[IO[bytes], int]]) -> None:
    """Carry each stream to a descriptor of ours until all have ended."""
    with selectors.DefaultSelector() as waiting:
        for stream, to in streams:
            waiting.register(stream, selectors.EVENT_READ, (to, TerminalFilter()))
        while waiting.get_map():
            for ready, _ in waiting.select():
                to, clean = ready.data
                chunk = os.read(ready.fd, _CHUNK)
                if not chunk:
                    waiting.unregister(ready.fileobj)
                rest = clean.feed(chunk)
                while rest:
                    rest = rest[os.write(to, rest) :]


@contextlib.contextmanager
def _terminal_as_it_was(prompt: bool) -> Iterator[None]:
    """Whatever ssh and the process made of the terminal, at the end it is as before."""
    before = termios.tcgetattr(0) if prompt else None
    try:
        yield
    finally:
        if before is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, before)
            if os.isatty(1):
                os.write(1, RESTORED)


commands: list[click.Command] = [console]
