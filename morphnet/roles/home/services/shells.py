"""
What runs on a terminal: a login shell of a user, or that user's `ssh` to another machine.

Source: docs/home, Services.
"""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.protocol import ProcessProtocol

from morphnet.errors import ConfigError
from morphnet.roles.home.services.terminal import Spawn

_KEPT = ("PATH", "LANG", "TZ")
# Whatever the user's own ssh_config says. Only a machine that is known is logged in to, and the keys of others are not
# learned from a browser; no escape leads to a shell of this machine, no forwarding to its network.
_STRICT = (
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",
    "EscapeChar=none",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "Tunnel=no",
    "PermitLocalCommand=no",
    "ControlMaster=no",
    "ConnectTimeout=20",
    "ServerAliveInterval=30",
)


@dataclass(frozen=True)
class _Account:
    """Who runs it; `ids` are None when that is who we are."""

    entry: pwd.struct_passwd
    ids: tuple[int | None, int | None]

    def environment(self, environment: Mapping[str, str], **more: str) -> dict[str, str]:
        """What a program of this user's is told."""
        return {
            **{name: environment[name] for name in _KEPT if name in environment},
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "HOME": self.entry.pw_dir,
            "USER": self.entry.pw_name,
            "LOGNAME": self.entry.pw_name,
            **more,
        }

    def spawn(self, reactor: Any, program: str, argv: Sequence[str], environment: Mapping[str, str]) -> Spawn:
        """What starts that on a terminal."""

        def spawn(protocol: ProcessProtocol) -> Any:
            home = self.entry.pw_dir if os.path.isdir(self.entry.pw_dir) else "/"
            return reactor.spawnProcess(protocol, program, argv, environment, home, *self.ids, usePTY=True)

        return spawn


def _account(user: str) -> _Account:
    """
    Of this user; "" is ours.

    :raises ConfigError: there is no such user, or we may not be it.
    """
    try:
        entry = pwd.getpwnam(user) if user else pwd.getpwuid(os.getuid())
    except KeyError:
        raise ConfigError(f"terminal: there is no user {user}") from None
    own = entry.pw_uid == os.getuid()
    if not own and os.getuid() != 0:
        raise ConfigError(f"terminal: only root can open a shell of {user}; leave 'user' empty for our own")
    return _Account(entry, (None, None) if own else (entry.pw_uid, entry.pw_gid))


def shell_of(reactor: Any, user: str, environment: Mapping[str, str]) -> Spawn:
    """
    What starts a login shell of this user; "" is ours.

    :raises ConfigError: there is no such user, or we may not be it.
    """
    account = _account(user)
    shell = account.entry.pw_shell or "/bin/sh"
    name = "-" + shell.rpartition("/")[2]  # a login shell
    return account.spawn(reactor, shell, [name], account.environment(environment, SHELL=shell))


def ssh_of(reactor: Any, user: str, environment: Mapping[str, str], target: str, *more: str) -> Spawn:
    """
    What starts this user's `ssh`, with the user's keys and known hosts.

    :param target: USER@HOST or USER@HOST:PORT.
    :param more: further words for `ssh`, behind those that nothing overrules.
    :raises ConfigError: there is no such user, we may not be it, or there is no `ssh` here.
    """
    account, ssh = _account(user), shutil.which("ssh")
    if ssh is None:
        raise ConfigError("terminal: ssh is not here (Debian package openssh-client)")
    name, _, place = target.rpartition("@")
    host, port = _place(place)
    argv = ["ssh", *(word for option in _STRICT for word in ("-o", option)), *more]
    argv += [*(("-p", port) if port else ()), "-l", name, "--", host]
    return account.spawn(reactor, ssh, argv, account.environment(environment))


def _place(place: str) -> tuple[str, str]:
    """Host and port of HOST, HOST:PORT or [ADDRESS]:PORT; "" for the port that `ssh` takes by itself."""
    if place.startswith("["):
        host, _, rest = place[1:].partition("]")
        return host, rest.removeprefix(":")
    host, _, port = place.partition(":")
    return host, port
