"""A relay at an address of its own in a FakeNet, and a server that comes there to whoever waits for it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from twisted.internet.interfaces import IProtocolFactory

from morphnet.net.dial import Destination, Net
from morphnet.net.gate import Gate
from morphnet.net.ondevice import Source
from morphnet.net.passage import PassageDial
from morphnet.net.tls import ClientTls, Identity, ServerTls
from morphnet.rendezvous.relay.registry import Registry, Terms
from morphnet.roles.certificates.bearers import Bearers
from morphnet.roles.certificates.revocation_exchange import RevocationExchange
from morphnet.roles.certificates.revocation_file import Revoked
from morphnet.roles.relay.lines import RelayServer
from morphnet.roles.server.passages import Meetings
from morphnet.wire.messages.relay import Reach
from tests.fakes_control import CLIENT_HOST, FakeNet
from tests.fakes_relay import MANY, FakeLists
from tests.fakes_tls import SERVER, FakeCa

RELAY_HOST = "192.0.2.99"


class MeetingPlace:
    """
    The relay.

    :param folder: where servers keep what is revoked.
    """

    def __init__(self, net: FakeNet, ca: FakeCa, folder: Path) -> None:
        self.net, self._ca, self._folder = net, ca, folder
        tls = ServerTls(ca.identity("relay", SERVER), lambda peer: False)
        registry = Registry(net, random.Random(3).randbytes, Terms())
        self.relay = RelayServer(tls, registry, Gate(net), FakeLists(), MANY)
        net.servers[RELAY_HOST] = self.relay.factory
        self.bearers: list[Bearers] = []

    def serve(self, identity: Identity, factory: IProtocolFactory, name: str = "gateway") -> Meetings:
        """
        A server calls the relay.

        :param factory: of its control port.
        """
        meetings = Meetings(cast(Net, self.net), factory)
        exchange = RevocationExchange(Revoked(list, self._folder / name), self.net, lambda: None)
        bearers = Bearers(name, exchange, self.net, lambda sentence: None)
        bearers.meet = meetings.asked
        bearers.start([f"{RELAY_HOST}:443"], lambda host: ClientTls(identity, "relay"))
        self.bearers.append(bearers)
        return meetings

    def dial(self, identity: Identity, server: str = "gateway", sources: Sequence[Source] = ()) -> PassageDial:
        """How a client calls that server through the relay."""
        here = sources or [Source("", CLIENT_HOST)]
        to = Destination(RELAY_HOST, 443, lambda: here, on_device=FakeNet.on_device)
        return PassageDial(cast(Net, self.net), ClientTls(identity, "relay"), to, Reach(server))

    def stop(self) -> None:
        """The servers are there no more."""
        for bearers in self.bearers:
            bearers.stop()
