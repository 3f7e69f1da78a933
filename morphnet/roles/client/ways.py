"""How the server is called in other ways than by TCP to its port: through relays, or through a web server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IOpenSSLClientConnectionCreator

from morphnet.config.roles import CONTROL_PORT, RELAY_PORT, ClientConfig
from morphnet.config.web import web_place, web_way
from morphnet.net.dial import Destination, Net
from morphnet.net.ondevice import Source
from morphnet.net.passage import PassageDial
from morphnet.net.tls import ClientTls
from morphnet.net.web import NoWay, WebDial, public_tls
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
        self._way = ""  # that it goes

    def dial(self) -> WebDial | None:
        """
        Always the same, as long as the address is: one call at a time.

        :raises NoWay: no such host can be asked for.
        """
        config = self._config()
        way = web_way(config.shape, config.shape_web)
        if not way:
            return None
        if self._dial is None or way != self._way:
            host, port, path = web_place(way)
            try:
                tls = self._public(host)
            except ValueError as trouble:
                raise NoWay(f"{host} by HTTPS: {trouble}") from None
            self._dial, self._way = WebDial(self._net, tls, self._to(host, port), path, self._ours.knock), way
        return self._dial
