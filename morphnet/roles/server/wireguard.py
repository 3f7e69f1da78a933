"""What phones need of a server's machine: the device, its key, and who keeps it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

from morphnet.config.roles import ServerConfig
from morphnet.durable import write_new
from morphnet.errors import ConfigError, HostError, MalformedFrame
from morphnet.host.phones import PhonesHost
from morphnet.host.wireguard import socket_of
from morphnet.net.wireguard import Device, WireGuardGo
from morphnet.roles.server.accounting import Meter
from morphnet.roles.server.phones import Around, Ground, Phones
from morphnet.store.base import Store
from morphnet.store.phones import FILE, Whereabouts
from morphnet.wire.wireguard import KEY, key_bytes, private_key

KEY_FILE = "wireguard_private.key"  # in pki_dir; no machine can be called so
_LONGEST = 256  # bytes of it


def server_key(pki_dir: Path) -> str:
    """
    The server's private key of WireGuard; made now, mode 0600, when there is none.

    :raises ConfigError: its file holds none.
    :raises HostError: it cannot be read or made.
    """
    path = pki_dir / KEY_FILE
    try:
        if not path.exists():
            with suppress(FileExistsError):  # somebody else has made one just now
                write_new(path, f"{private_key(os.urandom(KEY))}\n".encode(), mode=0o600)
        with path.open("rb") as file:
            text = file.read(_LONGEST).decode("ascii", "replace").strip()
        key_bytes(text)
    except OSError as problem:
        raise HostError(f"the key of WireGuard, {path}: {problem.strerror}") from None
    except MalformedFrame:
        raise ConfigError(
            f"{path} holds no key of WireGuard: put a backup back, or remove it and invite all anew"
        ) from None
    return text


class Machine:
    """
    See `phones.Ground`.

    :param beside: has these devices guarded as the TUN is.
    """

    def __init__(self, host: PhonesHost, beside: Callable[[tuple[str, ...]], None]) -> None:
        self._host, self._beside = host, beside

    def wireguard_up(self, device: str) -> bool:
        """By the kernel, or by a child."""
        by_kernel = self._host.wireguard_up(device)
        self._beside((device,))  # before anything can come by it
        return by_kernel

    def phones_are(self, device: str, mtu: int, addresses: Sequence[str]) -> None:
        """Lead them there."""
        self._host.phones_are(device, mtu, addresses)

    def phones_judged(self, device: str, lines: Sequence[str] | None) -> None:
        """By the policy, or not."""
        self._host.phones_judged(device, lines)

    def phones_refused(self) -> tuple[int, int]:
        """As nftables has counted."""
        return self._host.phones_refused()

    def wireguard_down(self) -> None:
        """All as it was."""
        self._host.wireguard_down()
        self._beside(())


def phones_of(
    config: ServerConfig, reactor: Any, ground: Ground, meter: Meter, store: Store, now: Callable[[], float]
) -> Callable[[Callable[[str, str, str], None]], Phones]:
    """
    Makes them, as soon as there is a history.

    :param now: the data plane's clock.
    """

    def make(name: str, by_kernel: bool, ended: Callable[[str], None]) -> Device:
        if not by_kernel:
            return WireGuardGo(reactor, name, socket_of(name), ended)
        from morphnet.net.wireguard_kernel import KernelWireGuard  # brings pyroute2

        return KernelWireGuard(name)

    key, whereabouts = cache(partial(server_key, config.pki_dir)), Whereabouts(config.state_dir / FILE)
    return lambda tell: Phones(config, Around(store, whereabouts, ground, make, key, meter, now, time.time, tell))
