"""A role as a service of systemd, by the units in tap/systemd."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import morphnet
from morphnet.cli.layout import SYSTEM
from morphnet.cli.running import Role
from morphnet.config.home import HomeConfig
from morphnet.errors import HostError

RUNS = Path("/run/systemd/system")  # sd_booted(3)
UNITS, USERS = Path("/etc/systemd/system"), Path("/etc/sysusers.d/morphnet.conf")
PATIENCE = 60.0  # seconds for one command of systemd's
_HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # from what our units start
_WRITTEN_FOR = "/opt/morphnet/bin/"
_SIGNER = ("morph-signer.socket", "morph-signer@.service")
_HAS_USER = ("server", "relay", "coordinator", "upload")  # of its own, made for it
_SIGNS = ("server", "relay")
_NOBODY = "User=NOBODY\n"  # in a unit that runs as whom its configuration names


def is_for(role: Role) -> bool:
    """Whether that is how it is to run: systemd runs, and it is the machine's own configuration that the units name."""
    return role.place.root == SYSTEM and RUNS.is_dir() and shutil.which("systemctl") is not None


def start(role: Role) -> None:
    """
    Now, and whenever the machine starts.

    :raises HostError: systemd refuses, and why.
    """
    unit = unit_of(role)
    if _ran("systemctl", "cat", unit).returncode:
        _install(role)
    _do("systemctl", "enable", "--now", unit)


def stop(role: Role) -> bool:
    """
    Returns when it has ended; answers with whether it ran, or was to run.

    :raises HostError: systemd refuses, and why.
    """
    unit = unit_of(role)
    words = {_ran("systemctl", ask, unit).stdout.strip() for ask in ("is-active", "is-enabled")}
    if not words & {"active", "activating", "reloading", "enabled"}:
        return False
    _do("systemctl", "disable", "--now", unit)
    return True


def restart(role: Role) -> bool:
    """
    Start it anew, if it runs as a service; answers with whether it does.

    :raises HostError: systemd refuses, and why.
    """
    unit = unit_of(role)
    if _ran("systemctl", "is-active", unit).stdout.strip() not in ("active", "activating", "reloading"):
        return False
    _do("systemctl", "restart", unit)
    return True


def why_not(role: Role, since: float) -> str:
    """
    What its last try to start said, "" for nothing.

    :param since: Unix seconds; what was in its way before then may be gone.
    """
    words = ("--unit", unit_of(role), "--since", f"@{int(since)}", "--lines", "30", "--output", "cat")
    said = _ran("journalctl", *words).stdout.splitlines()
    return next((each.removeprefix("morphnet: ") for each in reversed(said) if each.startswith("morphnet: ")), "")


def gave_up(role: Role) -> bool:
    """Whether it is not started again by itself: something has to be changed first."""
    return _ran("systemctl", "is-failed", unit_of(role)).stdout.strip() == "failed"


def forget(role: Role) -> None:
    """Remove its unit, if it is as `start` has written it."""
    file = UNITS / unit_of(role)
    if file.is_file() and file.read_text() == _text_of(role):
        file.unlink()
        _do("systemctl", "daemon-reload")


def is_outdated(role: Role) -> bool:
    """
    Whether there is a unit of its own here that `start` would write in another way.

    :raises HostError: this version has none for it.
    """
    file = UNITS / unit_of(role)
    return file.is_file() and file.read_text() != _text_of(role)


def unit_of(role: Role) -> str:
    """Its name."""
    return f"{role.program}.service"


def _install(role: Role) -> None:
    if any(Path(sys.prefix).is_relative_to(each) for each in _HIDDEN):
        raise HostError(
            f"morphnet is in {sys.prefix}, which no service can see: install it in /opt/morphnet, or give --process"
        )
    texts = {unit_of(role): _text_of(role)} | {unit: _text(unit) for unit in _SIGNER if role.name in _SIGNS}
    users = _text("morphnet.sysusers.conf")
    if role.name in _HAS_USER and not (USERS.exists() and USERS.read_text() == users):
        USERS.parent.mkdir(exist_ok=True)
        USERS.write_text(users)
        _do("systemd-sysusers")
    for unit, text in texts.items():
        if not (UNITS / unit).exists():
            (UNITS / unit).write_text(text)
    _do("systemctl", "daemon-reload")


def _text_of(role: Role) -> str:
    text = _text(unit_of(role))
    if _NOBODY not in text:
        return text
    user = role.config.user if isinstance(role.config, HomeConfig) else ""
    if not user:
        raise HostError(f"set 'user' in {role.file}: whose files and shells these are, and who the service runs as")
    return text.replace(_NOBODY, f"User={user}\n")


def _text(name: str) -> str:
    """A unit as it is written for this installation. Installed they are in share/, in a checkout in tap/."""
    homes = Path(sys.prefix, "share/morphnet/systemd"), Path(morphnet.__file__).parent.parent / "tap/systemd"
    for home in homes:
        if (home / name).is_file():
            return (home / name).read_text().replace(_WRITTEN_FOR, f"{sys.prefix}/bin/")
    raise HostError(f"there is no {name} in {homes[0]}: install morphnet anew, or give --process")


def _do(*words: str) -> None:
    done = _ran(*words)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise HostError(f"`{' '.join(words)}` failed: {said[-1] if said else done.returncode}")


def _ran(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C", "SYSTEMD_PAGER": ""}
    try:
        return subprocess.run(
            words, capture_output=True, text=True, errors="replace", timeout=PATIENCE, env=environment
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(words, 127, "", f"there is no {words[0]}")
    except subprocess.TimeoutExpired:
        raise HostError(f"`{' '.join(words)}` takes longer than {PATIENCE:g} s") from None
