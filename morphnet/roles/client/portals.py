"""Uplinks on which somebody else answers in the server's place: a captive portal, most likely."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.logger import Logger

from morphnet.host.uplinks import Uplink


class Portals:
    """
    Who was met, until the server has answered by that uplink or the uplink has become another one.

    :param tell: takes a kind and a sentence for the history.
    """

    _log = Logger()

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        self._tell = tell
        self._met: dict[str, str] = {}  # the host that was called, by device
        self._uplinks: dict[str, Uplink] = {}

    def answered(self, host: str, device: str, proven: bool) -> None:
        """By this uplink somebody took a call to `host`: whether it was that one, or somebody who is none of ours."""
        if proven:
            self.works(device)
        elif device and device not in self._met:
            self._met[device] = host
            sentence = _sentence(device, host)
            self._tell("portal", sentence)
            self._log.warn("{text}", text=sentence)

    def works(self, device: str) -> None:
        """The server, or somebody else of our network, has answered by this uplink."""
        if (host := self._met.pop(device, None)) is not None:
            sentence = f"{device}: nobody stands between us and {host} any more"
            self._tell("portal-gone", sentence)
            self._log.info("{text}", text=sentence)

    def uplinks_are(self, uplinks: Sequence[Uplink]) -> None:
        """What was met on an uplink that is gone, or has other addresses, says nothing of the one that is there now."""
        now = {each.name: each for each in uplinks if each.up}
        for device in [device for device in self._met if now.get(device) != self._uplinks.get(device)]:
            del self._met[device]
        self._uplinks = now

    def devices(self) -> tuple[str, ...]:
        """The uplinks on which somebody else answers."""
        return tuple(self._met)

    def warnings(self) -> tuple[str, ...]:
        """What the operator should see to."""
        return tuple(_sentence(device, host) for device, host in self._met.items())


def _sentence(device: str, host: str) -> str:
    return f"{device}: somebody else answers for {host} (a captive portal?): open a web page there and sign in"
