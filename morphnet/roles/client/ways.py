"""How the server is called in other ways than by TCP to its port: through relays, or through a web server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IOpenSSLClientConnectionCreator

from morphnet.config.roles import CONTROL_PORT, RELAY_PORT, ClientConfig
from morphnet.config.web import WEB, web_place
from morphnet.net.dial import Destination, Net
from morphnet.net.ondevice import Source
from morphnet.net.passage import PassageDial
from morphnet.net.tls import ClientTls
from morphnet.net.web import WebDial, public_tls
from morphnet.pki.names import split_address
from morphnet.wire.messages.relay import Reach

Sources = Callable[[], list[Source]]


class Knocking(Protocol):
    """Who belongs to the network."""

    def knock(self) -> bytes:
        "What shows it, another one each time."


class Relays:
    """
    :param to: how a host is called, from these places.
    :param tls: our end of TLS with that relay.
    """

    def __init__(
        self,
        net: Net,
        config: ClientConfig,
        to: Callable[[str, int, Sources], Destination],
        tls: Callable[[str], ClientTls],
    ) -> None:
        self._net, self._config, self._to, self._tls = net, config, to, tls

    def passages(self, server: str, sources: Sources) -> list[PassageDial]:
        """How that server is called through each of them."""
        config, found = self._config, list[PassageDial]()
        reach = Reach(split_address(server, CONTROL_PORT)[0], config.server_name)
        for place in config.mesh.relays:
            host, port = split_address(place, RELAY_PORT)
            to = self._to(host, port, sources)
            found.append(PassageDial(self._net, self._tls(host), to, reach, config.mesh.relay_pq))
        return found


class WebServer:
    """
    The web server in front of the server, while the operator wants that way and no other.

    :param config: as it is now.
    :param to: as above.
    :param ours: shows it that we belong to the network.
    :param public: our end of TLS with that host.
    """

    def __init__(
        self,
        net: Net,
        config: Callable[[], ClientConfig],
        to: Callable[[str, int], Destination],
        ours: Knocking,
        public: Callable[[str], IOpenSSLClientConnectionCreator] = public_tls,
    ) -> None:
        self._net, self._config, self._to, self._ours, self._public = net, config, to, ours, public
        self._dial: WebDial | None = None

    def dial(self) -> WebDial | None:
        """Always the same: one call at a time."""
        config = self._config()
        if config.shape != WEB:
            return None
        if self._dial is None:
            host, port, path = web_place(config.shape_web)
            self._dial = WebDial(self._net, self._public(host), self._to(host, port), path, self._ours.knock)
        return self._dial
