"""A server that is reached by WireGuard too, as its clients and its operator see it."""

from __future__ import annotations

import base64
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.policy import Policy
from morphnet.config.roles import ServerConfig
from morphnet.config.wireguard import WireGuardConfig
from morphnet.errors import Refused
from morphnet.host.phone_policy import Known
from morphnet.policystatus import PolicyStatus
from morphnet.roles.server.node import LIVE
from morphnet.roles.server.phoned_node import PhonedNode
from morphnet.roles.server.phones import Around, NoGround, Phones
from morphnet.status import PhonesStatus
from morphnet.store.base import PhoneRecord
from morphnet.store.memory import MemoryStore
from morphnet.store.phones import Whereabouts
from morphnet.wire.messages.control import Hello
from tests.fakes_phones import FakeDevice, FakeMachine
from tests.roles.server.test_node import FakeCaller, Server

KEY = base64.b64encode(bytes([5] * 32)).decode()
ON = WireGuardConfig("0.0.0.0:51820")


class PhonedNodeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store, self.device, self.ground = MemoryStore(), FakeDevice(), FakeMachine()
        self.server = Server(self.store)
        self.node = self.make(ServerConfig(name="gw", wireguard=ON))
        self.store.all_phones["phone"] = PhoneRecord("phone", KEY, KEY, 5)
        self.successResultOf(self.store.lease("phone", "10.73.0.0/24", "fd73::/64", b"1" * 16))
        self.successResultOf(self.node.phones.look())

    def make(self, config: ServerConfig) -> PhonedNode:
        server = self.server

        def phones(tell: object) -> Phones:
            seconds = server.clock.seconds
            around = Around(
                self.store,
                Whereabouts(),
                self.ground,
                lambda name, by_kernel, ended: self.device,
                lambda: KEY,
                server.accounting,
                seconds,
                seconds,
                lambda kind, name, text: self.node.tell(kind, name, text),
            )
            return Phones(config, around)

        server.node = node = PhonedNode(config, server.pump, server.node._parts, server.draw, phones)
        return node

    def test_one_name_one_place(self) -> None:
        """A client that is called as a phone is turned away, whatever its certificate says; others are not."""
        refused = self.failureResultOf(self.server.asked(Hello(name="phone"), FakeCaller("phone")), Refused)
        self.assertIn("phone comes by WireGuard here", str(refused.value))
        self.successResultOf(self.server.asked(Hello(name="laptop")))

    def test_seen(self) -> None:
        """Its operator sees where it listens, and who comes."""
        status = self.node.status()
        self.assertIn("udp 51820 for WireGuard", status.listening)
        self.assertEqual([each.name for each in status.phones], ["phone"])
        self.assertEqual((status.sections[-1], status.levels["phones_connected"]), ("phones", 0))
        self.assertEqual(status.warnings, ())

    def test_refused(self) -> None:
        """What phones were refused is in the picture of the policy, where there is one."""
        self.assertIsNone(self.node.policy_status())
        self.patch(self.node.access, "status", lambda: PolicyStatus(7, 1, True, ()))
        self.node.phones.judging = lambda: Known(Policy(), {}, ())
        self.successResultOf(self.node.phones.look())
        self.ground.refused = 4, 2
        self.successResultOf(self.node.phones.look())
        status = self.node.status()
        assert status.policy is not None
        self.assertEqual((status.policy.of_phones, status.policy.for_phones), (4, 2))
        self.assertEqual(status.counters["policy_refused_of_phones"], 4)

    def test_asked(self) -> None:
        """Who asks for them has the records read."""
        (verb,) = (each for each in self.node.verbs() if each.name == "phones")
        del self.store.all_phones["phone"]
        self.assertEqual(self.successResultOf(verb.call()), PhonesStatus(()))
        self.assertEqual(self.device.now.peers, ())
        self.store.all_phones["phone"] = PhoneRecord("phone", KEY, KEY, 5)
        self.node.reload()
        self.assertEqual(len(self.device.now.peers), 1)

    def test_switched(self) -> None:
        """Its settings apply while it runs."""
        self.assertLessEqual({"wireguard.listen", "wireguard.phone_mtu"}, LIVE)
        other = replace(self.node.config, wireguard=WireGuardConfig("0.0.0.0:443"))
        self.node.reconfigure(other, ["wireguard.listen"])
        self.assertEqual(self.device.now.port, 443)
        self.node.reconfigure(other, ["forward"])
        self.assertEqual(self.device.stopped, 0)

    def test_cannot_come(self) -> None:
        """What keeps phones away is a warning."""
        self.node.phones = Phones(self.node.config, replace(self.node.phones._around, ground=NoGround()))
        self.successResultOf(self.node.phones.look())
        self.assertEqual(self.node.warnings(), ("phones cannot come: there is no machine to have WireGuard",))
