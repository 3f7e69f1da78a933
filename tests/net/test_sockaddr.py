"""Endpoints and what system calls make of them."""

from __future__ import annotations

import socket

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.sockaddr import IP_PKTINFO, PKTINFO_SPACE, endpoint, host_of, sockaddr, source
from morphnet.wire.batch import Endpoint

LOOPBACK = socket.if_nametoindex("lo")


class SockaddrTests(SynchronousTestCase):
    def test_addresses(self) -> None:
        """IPv4 is a pair, IPv6 has four parts; "" is the IPv4 wildcard; an interface may be named or numbered."""
        self.assertEqual(sockaddr("192.0.2.1", 9), ("192.0.2.1", 9))
        self.assertEqual(sockaddr("", 9), ("", 9))
        self.assertEqual(sockaddr("2001:db8::0001", 9), ("2001:db8::1", 9, 0, 0))
        self.assertEqual(sockaddr("fe80::1%lo", 9), ("fe80::1", 9, 0, LOOPBACK))
        self.assertEqual(sockaddr("fe80::1%7", 9), ("fe80::1", 9, 0, 7))

    def test_no_address(self) -> None:
        """A name, half an address and an interface that is not there are refused."""
        for host in ("gw.example", "192.0.2", "2001:db8:::1", "fe80::1%nosuch0"):
            self.assertRaises(ValueError, sockaddr, host, 9)

    def test_source_comes_back(self) -> None:
        """What makes a datagram leave from an address is, on its arrival, read as the address that it came to."""
        for local, level, kind in (
            ("192.0.2.7", socket.IPPROTO_IP, IP_PKTINFO),
            ("2001:db8::7", socket.IPPROTO_IPV6, socket.IPV6_PKTINFO),
            ("fe80::7%3", socket.IPPROTO_IPV6, socket.IPV6_PKTINFO),
        ):
            found_level, found_kind, value = source(local)
            self.assertEqual((found_level, found_kind), (level, kind))
            self.assertLessEqual(socket.CMSG_SPACE(len(value)), PKTINFO_SPACE)
            self.assertEqual(endpoint(("198.51.100.1", 5), value), Endpoint("198.51.100.1", 5, local))

    def test_link_local_peer(self) -> None:
        """A peer on the link is an address and an interface; without a control message our side is not known."""
        self.assertEqual(endpoint(("fe80::9", 5, 0, 3), b""), Endpoint("fe80::9%3", 5, ""))


class HostTests(SynchronousTestCase):
    """The numeric host of an address."""

    def test_host(self) -> None:
        """IPv4 and IPv6 as they are, IPv4 on a dual-stack socket as IPv4, anything else as nothing."""
        self.assertEqual(host_of(IPv4Address("TCP", "192.0.2.1", 1)), "192.0.2.1")
        self.assertEqual(host_of(IPv6Address("TCP", "2001:db8::1", 1)), "2001:db8::1")
        self.assertEqual(host_of(IPv6Address("TCP", "::ffff:192.0.2.1", 1)), "192.0.2.1")
        self.assertEqual(host_of(UNIXAddress("/tmp/x")), "")
        self.assertEqual(host_of(None), "")
