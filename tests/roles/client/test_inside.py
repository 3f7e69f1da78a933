"""What a server's word about its inner network comes to on a client."""

from __future__ import annotations

import dataclasses

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.mesh import MeshConfig
from morphnet.config.roles import ClientConfig
from morphnet.roles.client.inside import Inside, dns_servers, inside
from morphnet.wire.messages.control import Welcome
from tests.wire.messages.test_control import WELCOME

TOLD = MeshConfig().networks
SPLIT = ("10.99.0.0/24",)


def welcome(inner4: str, gateway4: str, inner6: str = "", gateway6: str = "") -> Welcome:
    """A server's."""
    return dataclasses.replace(WELCOME, inner4=inner4, gateway4=gateway4, inner6=inner6, gateway6=gateway6)


HONEST = welcome("10.73.0.2/24", "10.73.0.1", "fd73::2/64", "fd73::1")


class InsideTests(SynchronousTestCase):
    def test_as_told(self) -> None:
        """The network that this machine was told of and the gateway in it are reached; our addresses have no length."""
        for routes in (("default",), SPLIT, ()):
            self.assertEqual(
                inside(HONEST, TOLD, routes),
                Inside(("10.73.0.2", "fd73::2"), ("10.73.0.0/24", "fd73::/64"), ("10.73.0.1", "fd73::1"), left_out=()),
            )

    def test_more_than_told(self) -> None:
        """A server that names more of the world, or our local network, gets none of it: only our address is taken."""
        for inner, gateway, network in (
            ("64.0.0.2/3", "64.0.0.1", "64.0.0.0/3"),
            ("10.0.0.2/0", "10.0.0.1", "0.0.0.0/0"),
            ("10.73.0.2/23", "10.73.1.1", "10.73.0.0/23"),
            ("192.168.1.10/29", "192.168.1.9", "192.168.1.8/29"),
        ):
            got = inside(welcome(inner, gateway), TOLD, SPLIT)
            self.assertEqual(got, Inside((inner.partition("/")[0],), (), (), (network,)))
        got = inside(welcome("", "", "2001:db8::2/3", "2606:4700::1111"), TOLD, SPLIT)
        self.assertEqual(got, Inside(("2001:db8::2",), (), (), ("2000::/3",)))

    def test_gateway_elsewhere(self) -> None:
        """A gateway that is not where its network is counts for itself: a printer does not become one."""
        got = inside(welcome("10.73.0.2/24", "192.168.1.9"), TOLD, SPLIT)
        self.assertEqual((got.networks, got.gateways), (("10.73.0.0/24",), ()))

    def test_in_routes(self) -> None:
        """What the operator sends into the tunnel anyway may be named."""
        other = welcome("10.80.0.2/16", "10.80.0.1")
        got = inside(other, TOLD, ("10.64.0.0/10", "fd00::/8"))
        self.assertEqual((got.networks, got.gateways, got.left_out), (("10.80.0.0/16",), ("10.80.0.1",), ()))

    def test_whole(self) -> None:
        """Where everything goes into the tunnel nothing is left out, nor is a route made on the server's word."""
        other = welcome("10.80.0.2/16", "10.80.0.1", "fd80::2/64", "fd80::1")
        self.assertEqual(inside(other, TOLD, ("default",)), Inside(("10.80.0.2", "fd80::2"), (), (), ()))
        self.assertEqual(inside(other, TOLD, ("0.0.0.0/0",)).left_out, ("fd80::/64",))


class DnsTests(SynchronousTestCase):
    def test_only_as_configured(self) -> None:
        """The server's DNS servers see every name: in a split tunnel they are used only if that is wanted."""
        named = dataclasses.replace(WELCOME, dns=("10.73.0.1",))
        for config, used in (
            (ClientConfig(), True),
            (ClientConfig(routes=("0.0.0.0/0",)), True),
            (ClientConfig(routes=SPLIT), False),
            (ClientConfig(routes=()), False),
            (ClientConfig(routes=SPLIT, dns_split=True), True),
            (ClientConfig(dns=False, dns_split=True), False),
        ):
            self.assertEqual(dns_servers(named, config), ("10.73.0.1",) if used else (), config.routes)

    def test_this_machine(self) -> None:
        """An address that means the client itself is not taken from a server."""
        here = ("127.0.0.1", "127.0.0.73", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "224.0.0.251", "10.73.0.1")
        self.assertEqual(dns_servers(dataclasses.replace(WELCOME, dns=here), ClientConfig()), ("10.73.0.1",))
