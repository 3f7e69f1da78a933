"""An uplink that carries nothing is looked at: who answers by it."""

from __future__ import annotations

from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Protocol
from twisted.test.proto_helpers import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.client.looking import Looking, Visitor


class LookingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.unclear, self.calls, self.let_go = ["wlan0", "eth0"], list[tuple[str, Deferred[IProtocol]]](), list[str]()
        self.looking = Looking(self.call, lambda: self.unclear)

    def call(self, device: str) -> Deferred[IProtocol]:
        """One call by that uplink, under way."""
        calling = Deferred[IProtocol](lambda _: self.let_go.append(device))
        self.calls.append((device, calling))
        return calling

    def devices(self) -> list[str]:
        """By which calls were made since the last time."""
        devices = [device for device, _ in self.calls]
        self.calls.clear()
        return devices

    def test_one_call_each(self) -> None:
        """By each of them one call is under way; when it has ended, however it did, the next look makes another."""
        self.looking.look()
        (_, first), (_, second) = self.calls
        self.assertEqual(self.devices(), ["wlan0", "eth0"])
        self.looking.look()
        self.assertEqual(self.devices(), [])
        first.errback(OSError())
        second.callback(cast(IProtocol, Protocol()))
        self.unclear.pop()
        self.looking.look()
        self.assertEqual(self.devices(), ["wlan0"])

    def test_close(self) -> None:
        """At the end nobody is being called."""
        self.looking.look()
        self.looking.close()
        self.assertEqual(self.let_go, ["wlan0", "eth0"])

    def test_visitor(self) -> None:
        """Who has proved himself is hung up on, without a word."""
        transport = StringTransport()
        Visitor().makeConnection(transport)
        self.assertEqual((transport.disconnecting, transport.value()), (True, b""))
