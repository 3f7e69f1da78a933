"""A gateway's machine that clients reach by WireGuard as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from morphnet.errors import HostError
from morphnet.host.firewall import Obstacle, obstacles
from morphnet.host.host import Host, ServerNetwork
from morphnet.host.kernel import Missing
from morphnet.host.routes import LinkUp, family_of, has_ipv6
from morphnet.host.wireguard import WireGuardLink, phone_changes

WHAT = "what it forwards for phones"  # that a firewall may drop


class PhonesHost(Host):
    """See Host."""

    def __init__(self, journal_path: Path) -> None:
        super().__init__(journal_path)
        self._server: ServerNetwork | None = None  # as it was brought up last

    def server_up(self, network: ServerNetwork) -> None:
        super().server_up(network)
        self._server = network

    def wireguard_up(self, device: str) -> bool:
        """
        Make the device, if this kernel can; answers with whether it did. Else whoever makes it does so now: it is in
        the journal.

        :raises HostError: there is one of that name which is not ours, or the machine refuses.
        """
        ours = any(isinstance(each, WireGuardLink) and each.device == device for each in self._journal.standing)
        if not ours and self._is_there(device):
            raise HostError(f"there is a device {device} that is not ours: set another `wireguard.device`")
        self.wireguard_down()
        try:
            self._journal.settle("wireguard", [WireGuardLink(device, True)])
        except HostError as why:
            self._log.debug("the kernel makes no WireGuard device: {why}", why=str(why))
            self._journal.settle("wireguard", [WireGuardLink(device, False)])
            return False
        return True

    def _is_there(self, device: str) -> bool:
        try:
            self._kernel.link(device)
        except Missing:
            return False
        return True

    def phones_are(self, device: str, mtu: int, addresses: Sequence[str]) -> None:
        """
        Let the device, which is there, lead to clients that have these inner addresses; what fails is logged.

        :raises HostError: the journal cannot be written.
        """
        assert self._server is not None  # the TUN comes first
        inner = (each.partition("/")[0] for each in (self._server.inner4, self._server.inner6) if each)
        own = {family_of(each): each for each in inner if family_of(each) in self.families}
        link = LinkUp(device, mtu, self._base)
        changes = phone_changes(link, addresses, own, has_ipv6(self._kernel, device), self._base)
        self._journal.settle("phones", changes, lenient=True)

    def wireguard_down(self) -> None:
        """No client comes by it any more."""
        self._journal.settle("phones", [])
        self._journal.settle("wireguard", [])

    def obstacles(self, tun: str, pools: Sequence[str]) -> list[Obstacle]:
        found = super().obstacles(tun, pools)
        for device in self._server.beside if self._server is not None else ():
            found += [replace(each, what=WHAT) for each in obstacles(self._kernel, device, pools)]
        return found
