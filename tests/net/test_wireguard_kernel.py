"""A WireGuard in the kernel, as its messages are; pyroute2 makes and reads them."""

from __future__ import annotations

import base64
import socket
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.generic.wireguard import wgmsg
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.net.wireguard_kernel import KernelWireGuard, told_by
from morphnet.wire.wireguard import Changes, Peer, Seen, Told

NONE, PRIVATE, PUBLIC, SHARED = (base64.b64encode(bytes([number] * 32)).decode() for number in range(4))
PHONE = Peer(PUBLIC, SHARED, ("10.73.0.5/32",), 5, "[2001:db8::6]:40123")


def answer(shared: str, address: str, *more: tuple[str, object]) -> Any:
    """One of the kernel's, with one peer."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    length = 128 if ":" in address else 32
    network = [("FAMILY", family), ("IPADDR", socket.inet_pton(family, address)), ("CIDR_MASK", length)]
    allowed = [{"attrs": [[f"WGALLOWEDIP_A_{name}", value] for name, value in network]}]
    said = [("PUBLIC_KEY", PUBLIC), ("PRESHARED_KEY", shared), *more, ("ALLOWEDIPS", allowed)]
    message = wgmsg()
    message["attrs"] += [["WGDEVICE_A_PRIVATE_KEY", PRIVATE], ["WGDEVICE_A_LISTEN_PORT", 51820]]
    message["attrs"].append(["WGDEVICE_A_PEERS", [{"attrs": [[f"WGPEER_A_{name}", value] for name, value in said]}]])
    message.encode()
    read = wgmsg(message.data)
    read.decode()
    return read


class FakeNetlink:
    """Takes down what is set."""

    def __init__(self) -> None:
        self.set_to: list[dict[str, object]] = []
        self.refuses = False
        self.opened = 0

    def __call__(self) -> FakeNetlink:
        self.opened += 1
        return self

    def set(self, device: str, **words: object) -> None:
        if self.refuses:
            raise NetlinkError(98, "Address already in use")
        self.set_to.append({"device": device, **words})

    def info(self, device: str) -> list[Any]:
        return [answer(SHARED, "10.73.0.5")]

    def close(self) -> None:
        self.opened -= 1


class KernelTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.netlink = FakeNetlink()
        self.device = KernelWireGuard("morphwg0", self.netlink)

    def test_told(self) -> None:
        """A peer is read with all that is known of it; one that never came has neither place nor time."""
        where = ("ENDPOINT", {"addr": "2001:db8::6", "port": 40123})
        seen = (where, ("LAST_HANDSHAKE_TIME", {"tv_sec": 55, "tv_nsec": 1}), ("RX_BYTES", 5), ("TX_BYTES", 6))
        keepalive = ("PERSISTENT_KEEPALIVE_INTERVAL", 5)
        told = told_by([answer(SHARED, "10.73.0.5", *seen, keepalive)])
        self.assertEqual(told, Told(PRIVATE, 51820, (Seen(PHONE, "[2001:db8::6]:40123", 55, 5, 6),)))
        self.assertEqual(told_by([answer(NONE, "10.73.0.5")]).peers, (Seen(Peer(PUBLIC, "", ("10.73.0.5/32",))),))

    def test_continued(self) -> None:
        """A peer that goes on in the next message is one peer with all its networks."""
        told = told_by([answer(SHARED, "10.73.0.5", ("RX_BYTES", 5)), answer(NONE, "fd73::5")])
        self.assertEqual(told.peers, (Seen(Peer(PUBLIC, SHARED, ("10.73.0.5/32", "fd73::5/128")), received=5),))

    def test_change(self) -> None:
        """Each change is one message; what stays is not said."""
        self.successResultOf(self.device.change(Changes(PRIVATE, 0, (SHARED,), (PHONE,))))
        own, gone, put = self.netlink.set_to
        self.assertEqual(own, {"device": "morphwg0", "private_key": PRIVATE, "listen_port": None})
        self.assertEqual(gone["peer"], {"public_key": SHARED, "remove": True})
        peer: Any = put["peer"]
        self.assertEqual((peer["endpoint_addr"], peer["endpoint_port"]), ("2001:db8::6", 40123))
        self.assertEqual((peer["allowed_ips"], peer["persistent_keepalive"]), (["10.73.0.5/32"], 5))
        self.assertEqual(self.netlink.opened, 0)

    def test_refused(self) -> None:
        """The kernel's word is told, and no socket stays open."""
        self.netlink.refuses = True
        refused = self.failureResultOf(self.device.change(Changes(port=51820)), HostError)
        self.assertIn("morphwg0: Address already in use", str(refused.value))
        self.assertEqual(self.netlink.opened, 0)
        self.assertEqual(self.successResultOf(self.device.told()).port, 51820)
        self.successResultOf(self.device.stop())
