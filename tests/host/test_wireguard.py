"""The WireGuard device of a gateway, and the ways to those behind it."""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from morphnet.host import wireguard
from morphnet.host.kernel import FileState
from morphnet.host.netlink import attributes, messages
from morphnet.host.routes import BASE, LinkUp
from morphnet.host.routing import Route, Rule
from morphnet.host.sysctl import Sysctl
from morphnet.host.wireguard import PHONES, WireGuardLink, delete_link, new_link, phone_changes, socket_of
from tests.host.fake_kernel import FakeKernel

LINK = LinkUp("morphwg0", 1420, BASE)


class LinkTests(SynchronousTestCase):
    def test_messages(self) -> None:
        """A device is made with a name and a kind, and taken away by its name."""
        ((made, _, body),) = messages(new_link("morphwg0", "wireguard"))
        ((gone, _, other),) = messages(delete_link("morphwg0"))
        self.assertEqual((made, gone), (16, 17))  # RTM_NEWLINK, RTM_DELLINK
        found = attributes(body[16:])
        self.assertEqual((found[3], attributes(found[18])), (b"morphwg0\0", {1: b"wireguard"}))
        self.assertEqual(attributes(other[16:]), {3: b"morphwg0\0"})

    def test_by_kernel(self) -> None:
        """The kernel is asked for it, and to take it back."""
        kernel, link = FakeKernel(), WireGuardLink("morphwg0", True)
        link.apply(kernel)
        link.undo(kernel)
        self.assertEqual(kernel.routed, [new_link("morphwg0", "wireguard"), delete_link("morphwg0")])
        self.assertEqual(kernel.files, {})

    def test_by_child(self) -> None:
        """A child makes it itself; the socket of one that was killed goes with the device."""
        kernel, link = FakeKernel(), WireGuardLink("morphwg0", False)
        link.apply(kernel)
        self.assertEqual(kernel.calls, [])
        link.undo(kernel)
        self.assertEqual(kernel.files, {socket_of("morphwg0"): FileState("none")})
        self.assertEqual(kernel.routed, [delete_link("morphwg0")])

    def test_of_another(self) -> None:
        """A socket at which somebody listens stays: it may be of a server in another network namespace."""
        self.patch(wireguard, "SOCKETS", ".")
        kernel, link = FakeKernel(), WireGuardLink("morphwg0", False)
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(socket_of("morphwg0"))
            door.listen()
            link.undo(kernel)
            self.assertEqual(kernel.files, {})
        link.undo(kernel)
        self.assertEqual(kernel.files, {socket_of("morphwg0"): FileState("none")})

    def test_nowhere_else(self) -> None:
        """A name out of a file that somebody else may write leads to no other directory; nor does a failure matter."""
        kernel = FakeKernel()
        WireGuardLink("../../etc/passwd", False).undo(kernel)
        kernel.refuse = {"set_file"}
        WireGuardLink("morphwg0", False).undo(kernel)
        self.assertEqual((kernel.files, len(kernel.routed)), ({}, 2))


class ChangesTests(SynchronousTestCase):
    def test_routes(self) -> None:
        """Each address has a route of its own, and this machine talks to it as its inner self."""
        found = phone_changes(LINK, ["10.73.0.5", "fd73::5"], {4: "10.73.0.1", 6: "fd73::1"}, True)
        self.assertEqual(
            found,
            [
                Sysctl("net/ipv6/conf/morphwg0/accept_ra", "0"),
                LINK,
                Route("10.73.0.5/32", BASE, "morphwg0", source="10.73.0.1"),
                Rule(4, BASE + PHONES, BASE),
                Route("fd73::5/128", BASE, "morphwg0", source="fd73::1"),
                Rule(6, BASE + PHONES, BASE),
            ],
        )

    def test_one_family(self) -> None:
        """What this machine has not inside leads nowhere; nobody yet, and the device is up all the same."""
        found = phone_changes(LINK, ["10.73.0.5", "fd73::5"], {4: "10.73.0.1"}, False)
        self.assertEqual(found[1:], [Route("10.73.0.5/32", BASE, "morphwg0", source="10.73.0.1"), Rule(4, 7396, BASE)])
        self.assertEqual(phone_changes(LINK, [], {4: "10.73.0.1"}, False), [LINK])
