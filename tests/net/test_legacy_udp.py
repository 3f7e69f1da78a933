"""A UDP socket whose datagrams IP may cut."""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.legacy_udp import PMTUDISC_DONT, FragmentingDoor
from morphnet.net.udpsocket import IP_MTU_DISCOVER
from tests.net.fakes import FakeReactor, FakeSocket


class FragmentingTests(SynchronousTestCase):
    def test_option(self) -> None:
        """Of what is asked of the kernel about path MTUs, the last word is that it may cut."""
        made = FakeSocket()

        class Door(FragmentingDoor):
            def make_socket(self) -> socket.socket:
                return made  # type: ignore[return-value]

        Door(FakeReactor(), 0, lambda arrivals: None).open()
        said = [value for level, name, value in made.options if (level, name) == (socket.IPPROTO_IP, IP_MTU_DISCOVER)]
        self.assertEqual(said[-1], PMTUDISC_DONT)
