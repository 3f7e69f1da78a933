"""A UDP socket for peers that know nothing of path MTUs: what is too long is cut by IP, as theirs is."""

from __future__ import annotations

import socket

from morphnet.net.udp import UdpDoor
from morphnet.net.udpsocket import IP_MTU_DISCOVER

PMTUDISC_DONT = 0  # linux/in.h
BUFFER = 1 << 20  # bytes


class FragmentingDoor(UdpDoor):
    """A handshake of the original has some 1600 bytes, and there is no other way to send one."""

    buffer = BUFFER

    def open(self) -> None:
        """
        Bind and start receiving.

        :raises HostError: the machine refuses the address or the port.
        """
        super().open()
        assert self._socket is not None  # just opened
        if not self._six:
            self._socket.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DONT)
