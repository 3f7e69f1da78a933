"""Uplinks on which somebody else answers in the server's place: a captive portal, most likely."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from morphnet.host.uplinks import Uplink
from morphnet.tunnel.path import State


class Portals:
    """
    Who was met, until the server has answered by that uplink or the uplink has become another one.

    :param tell: takes a kind and a sentence for the history.
    """

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        self._tell = tell
        self._met: dict[str, str] = {}  # the host that was called, by device
        self._served: set[str] = set()  # devices by which the server has answered
        self._uplinks: dict[str, Uplink] = {}

    def answered(self, host: str, device: str, proven: bool) -> None:
        """By this uplink somebody took a call to `host`: whether it was that one, or somebody who is none of ours."""
        if proven:
            self.works(device)
        elif device and device not in self._met:
            self._met[device] = host
            self._served.discard(device)
            self._tell("portal", _sentence(device, host))

    def works(self, device: str) -> None:
        """The server, or somebody else of our network, has answered by this uplink."""
        self._served.add(device)
        if (host := self._met.pop(device, None)) is not None:
            self._tell("portal-gone", f"{device}: nobody stands between us and {host} any more")

    def path_is(self, device: str, state: str) -> None:
        """A path to the server, by this uplink, is in another state."""
        if state in (State.ACTIVE, State.STANDBY):
            self.works(device)
        elif state == State.SILENT:
            self._served.discard(device)  # somebody may want to be paid again

    def uplinks_are(self, uplinks: Sequence[Uplink]) -> None:
        """What was met on an uplink that is gone, or has other addresses, says nothing of the one that is there now."""
        now = {each.name: each for each in uplinks if each.up}
        for device in {*self._met, *self._served}:
            if device not in now or now[device] != self._uplinks.get(device):  # it may have gone before the answer
                self._met.pop(device, None)
                self._served.discard(device)
        self._uplinks = now

    def unclear(self, idle: Sequence[str]) -> list[str]:
        """
        The uplinks to look at: by which somebody else has answered, or nobody yet.

        :param idle: those without a path that works.
        """
        return list(dict.fromkeys([*self._met, *(device for device in idle if device not in self._served)]))

    def warnings(self) -> tuple[str, ...]:
        """What the operator should see to."""
        return tuple(_sentence(device, host) for device, host in self._met.items())


def _sentence(device: str, host: str) -> str:
    return f"{device}: somebody else answers for {host} (a captive portal?): open a web page there and sign in"
