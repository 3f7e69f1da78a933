"""A gateway's machine that clients reach by WireGuard as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from morphnet.errors import HostError
from morphnet.host.firewall import Obstacle, obstacles
from morphnet.host.host import Host, ServerNetwork
from morphnet.host.kernel import Missing
from morphnet.host.phone_policy import PhonePolicy
from morphnet.host.routes import LinkUp, family_of, has_ipv6
from morphnet.host.wireguard import WireGuardLink, phone_changes

_GROUPS = ("phones", "wireguard", "phone-policy")  # as they are undone: what judges the device, after the device
WHAT = "what it forwards for phones"  # that a firewall may drop


class PhonesHost(Host):
    """See Host. What judges phones stays until no device has any: over the end of a run that was killed, too."""

    inherited: ClassVar[Mapping[str, str]] = {PhonePolicy.kind: "phone-policy"}

    def __init__(self, journal_path: Path) -> None:
        super().__init__(journal_path)
        self._server: ServerNetwork | None = None  # as it was brought up last

    def recover(self, *, gateway: bool = False, strict: bool = False) -> int:
        count = super().recover(gateway=gateway, strict=strict)
        self._journal.settle("phone-policy", [])
        return count

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

    def phones_judged(self, device: str, lines: Sequence[str] | None) -> None:
        """
        Judge what phones send, and what is sent to them, see `phone_policy`.

        :param lines: what the policy says of phones; None for no policy.
        :raises HostError: the machine refused; it is as before this call then.
        """
        assert self._server is not None
        table = [PhonePolicy(device, self._server.tun, tuple(lines))] if lines is not None else []
        self._journal.settle("phone-policy", table)

    def phones_refused(self) -> tuple[int, int]:
        """
        Packets of phones, and for phones, that were dropped since they are judged as they are now.

        :raises HostError: the kernel does not tell.
        """
        table = next((each for each in self._journal.standing if isinstance(each, PhonePolicy)), None)
        return table.refused(self._kernel) if table is not None else (0, 0)

    def wireguard_down(self) -> None:
        """No client comes by it any more."""
        for group in _GROUPS:
            self._journal.settle(group, [])

    def down(self, *, handed_over: bool = False) -> None:
        for group in _GROUPS:  # nor is any of it handed over
            self._journal.undo_group(group)
        super().down(handed_over=handed_over)

    def obstacles(self, tun: str, pools: Sequence[str]) -> list[Obstacle]:
        found = super().obstacles(tun, pools)
        for device in self._server.beside if self._server is not None else ():
            found += [replace(each, what=WHAT) for each in obstacles(self._kernel, device, pools)]
        return found
