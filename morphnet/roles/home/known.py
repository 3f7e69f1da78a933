"""The coordinators that a home knows: the one in its settings, until that one has named others or moved it."""

from __future__ import annotations

import json

from morphnet.config.home import HOME_PORT, HomeConfig
from morphnet.durable import write_over
from morphnet.errors import ConfigError, HostError
from morphnet.pki.names import split_address
from morphnet.rendezvous.home.coordinators import Known
from morphnet.roles.home.identity import INVITE
from morphnet.wire.messages.home.invitation import Invitation

FILE = "coordinators"  # its name in state_dir; it holds invitations that may still be good


def read_line(line: str) -> Invitation:
    """
    An invitation to a coordinator that can be looked up.

    :raises ConfigError: it is none.
    """
    found = Invitation.read(line)
    split_address(found.coordinator, HOME_PORT)
    return found


def of_settings(config: HomeConfig) -> Invitation:
    """
    The one in the settings.

    :raises ConfigError: there is none.
    """
    if not config.coordinator_key:
        raise ConfigError("'coordinator_key' is missing: run `morphnet home init`")
    try:
        token = (config.state_dir / INVITE).read_text().strip()
    except OSError:
        token = ""
    return Invitation(config.coordinator, config.coordinator_key, config.page, token)


def read(config: HomeConfig) -> Known:
    """
    The first, then its fallbacks. Other settings than when they were kept count more.

    :raises ConfigError: the file is damaged, or there is no coordinator at all.
    """
    settings, file = of_settings(config), config.state_dir / FILE
    try:
        kept = json.loads(file.read_text())
        if kept["settings"] != [settings.coordinator, settings.key]:
            return (settings,)
        return (*map(read_line, [kept["first"], *kept["fallbacks"]]),)
    except FileNotFoundError:
        return (settings,)
    except (OSError, ValueError, TypeError, LookupError, RecursionError, ConfigError):
        raise ConfigError(f"{file} is damaged: remove it, and the coordinator in the settings counts again") from None


def keep(config: HomeConfig, known: Known) -> None:
    """
    What `read` gives from now on.

    :raises HostError: the disk does not take it.
    """
    first, *fallbacks = (each.line() for each in known)
    values = {"settings": [config.coordinator, config.coordinator_key], "first": first, "fallbacks": fallbacks}
    try:
        write_over(config.state_dir / FILE, json.dumps(values).encode() + b"\n", mode=0o600)
    except OSError as trouble:
        raise HostError(f"{config.state_dir / FILE}: {trouble.strerror}") from None
