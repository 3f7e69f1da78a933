"""Machines that come by WireGuard, upon a device and a machine in memory."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.policy import Policy, from_toml
from morphnet.config.roles import ServerConfig
from morphnet.config.wireguard import WireGuardConfig
from morphnet.errors import ConfigError, HostError
from morphnet.host.phone_policy import Known
from morphnet.roles.server.phones import GONE_AFTER, LATE, SOON, SOUND_AFTER, Around, NoGround, Phones
from morphnet.store.base import Lease, PhoneRecord
from morphnet.store.memory import MemoryStore
from morphnet.store.phones import Whereabouts
from morphnet.wire.wireguard import Changes, Peer, Told
from tests.fakes_phones import FakeDevice, FakeMachine, FakeMeter

KEYS = [base64.b64encode(bytes([number] * 32)).decode() for number in range(5)]
PRIVATE, SHARED, PHONE, TABLET, NEW = KEYS
ON = ServerConfig(name="gw", wireguard=WireGuardConfig("0.0.0.0:51820"))
WALL = 1_800_000_000  # Unix seconds


class PhonesCase(SynchronousTestCase):
    """A server, and one phone in its records."""

    def setUp(self) -> None:
        self.clock, self.store, self.ground, self.meter = Clock(), MemoryStore(), FakeMachine(), FakeMeter()
        self.devices, self.told = list[FakeDevice](), list[str]()
        self.ended: Callable[[str], None] = lambda why: None
        self.whereabouts, self.key_trouble = Whereabouts(), ""
        self.phones = self.make(ON)
        self.invite("phone", PHONE)

    def make(self, config: ServerConfig) -> Phones:
        def device(name: str, by_kernel: bool, ended: Callable[[str], None]) -> FakeDevice:
            self.ended = ended
            self.devices.append(FakeDevice())
            return self.devices[-1]

        around = Around(
            self.store,
            self.whereabouts,
            self.ground,
            device,
            self.key,
            self.meter,
            self.clock.seconds,
            lambda: WALL + self.clock.seconds(),
            lambda kind, name, text: self.told.append(kind),
        )
        return Phones(config, around)

    def key(self) -> str:
        if self.key_trouble:
            raise ConfigError(self.key_trouble)
        return PRIVATE

    def invite(self, name: str, key: str) -> Lease:
        self.store.all_phones[name] = PhoneRecord(name, key, SHARED, WALL)
        return self.successResultOf(self.store.lease(name, ON.pool4, ON.pool6, key.encode()[:16]))

    def look(self) -> None:
        self.successResultOf(self.phones.look())

    @property
    def state(self) -> str:
        return self.phones.statuses()[0].state

    @property
    def device(self) -> FakeDevice:
        return self.devices[-1]


class PhonesTests(PhonesCase):
    def test_may_come(self) -> None:
        """Who is in the records may, with its addresses and no others; it is done once."""
        self.look()
        self.look()
        peer = Peer(PHONE, SHARED, ("10.73.0.2/32", "fd73::2/128"))
        self.assertEqual(self.device.changes, [Changes(PRIVATE, 51820, (), (peer,))])
        self.assertEqual(self.ground.led, ("10.73.0.2", "fd73::2"))
        self.assertEqual((self.state, len(self.devices), self.ground.up), ("new", 1, 1))
        self.assertTrue(self.phones.holds("phone"))

    def test_named(self) -> None:
        """Whose its addresses are is told, for rules to name it."""
        found: dict[str, str] = {}
        self.phones.leased = lambda lease: found.update({lease.name: lease.inner4})
        self.phones.look()
        self.assertEqual(list(found), ["phone"])

    def test_judged(self) -> None:
        """By the policy, before anybody may come; anew when it is another one, or others have come, and not else."""
        self.look()
        ssh = from_toml('[[allow]]\nfrom = ["phone", "tablet"]\nto = "*"\nports = "22/tcp"')
        policies: list[Known | None] = [Known(ssh, {}, ()), None]
        self.phones.judging = lambda: policies[0]
        self.look()
        self.look()
        self.invite("tablet", TABLET)
        self.look()
        del policies[0]
        self.look()
        self.look()
        none, phone, both, withdrawn = self.ground.judged
        self.assertEqual((none, withdrawn), (None, None))
        assert phone is not None and both is not None
        self.assertEqual([sum(each.startswith("from saddr") for each in lines) for lines in (phone, both)], [2, 4])

    def test_refused(self) -> None:
        """What the machine dropped is counted on over other rules, another device, and a count that cannot be read."""
        self.look()
        self.assertNotIn("policy_refused_of_phones", self.phones.counters())
        policy = Policy()
        self.phones.judging = lambda: Known(policy, {}, ())
        self.look()
        for refused in ((5, 1), (7, 1)):
            self.ground.refused = refused
            self.look()
        self.invite("tablet", TABLET)
        self.ground.refused = 8, 1
        self.look()  # other rules, which begin with nothing
        self.ground.refused = 2, 0
        self.look()
        self.ground.refused = 3, 4
        self.ended("killed")
        self.assertEqual(self.phones.refused, (11, 5))
        self.clock.advance(SOON)
        self.look()
        self.ground.refused, self.ground.refuses = (9, 9), True
        self.look()
        self.assertEqual(self.phones.refused, (11, 5))
        counted = self.phones.counters()
        self.assertEqual((counted["policy_refused_of_phones"], counted["policy_refused_for_phones"]), (11, 5))

    def test_not_judged(self) -> None:
        """Where the machine makes no rules nobody comes: there is no device until it does."""
        self.look()
        self.ground.refuses = True
        self.phones.judging = lambda: Known(Policy(), {}, ())
        self.look()
        self.assertEqual((self.device.stopped, self.ground.downs), (1, 1))
        self.assertEqual(self.phones.warnings(), ("phones cannot come: not permitted",))
        self.ground.refuses = False
        self.clock.advance(SOON)
        self.look()
        self.assertEqual((len(self.devices), self.ground.judged), (2, [None, ()]))

    def test_revoked(self) -> None:
        """Who is in them no more is out with the answer to that question, and others notice nothing."""
        self.invite("tablet", TABLET)
        self.look()
        self.device.hears(PHONE, WALL, 1, 1)
        self.look()
        del self.store.all_phones["phone"]
        told = self.successResultOf(self.phones.read())
        self.assertEqual([each.name for each in told.phones], ["tablet"])
        self.assertEqual(self.device.changes[-1], Changes(gone=(PHONE,)))
        self.assertEqual(self.ground.led, ("10.73.0.3", "fd73::3"))
        self.assertEqual(self.meter.here, ["+phone", "-phone"])
        self.assertEqual(self.told, ["phone-up", "phone-revoked"])

    def test_new_keys(self) -> None:
        """One that is invited again comes by its new keys, and by those alone."""
        self.look()
        self.invite("phone", NEW)
        self.look()
        self.assertEqual(self.device.changes[-1].gone, (PHONE,))
        self.assertEqual([each.peer.public_key for each in self.device.now.peers], [NEW])

    def test_new_keys_meanwhile(self) -> None:
        """One that is there has gone then, and comes anew: each coming is told of, and each going."""
        self.look()
        self.device.hears(PHONE, WALL, 1, 1)
        self.look()
        self.invite("phone", NEW)
        self.look()
        self.assertEqual(self.state, "new")
        self.device.hears(NEW, WALL, 1, 1)
        self.look()
        self.assertEqual(self.meter.here, ["+phone", "-phone", "+phone"])
        self.assertEqual(self.told, ["phone-up", "phone-gone", "phone-up"])

    def test_counted(self) -> None:
        """What it carries is counted once, also when the device counts from the start again."""
        self.look()
        for at, received, sent in ((WALL, 100, 10), (WALL, 100, 10), (WALL + 5, 150, 20)):
            self.device.hears(PHONE, at, received, sent)
            self.look()
        self.assertEqual(self.meter.carried, {"phone": (20, 150)})
        self.ended("killed")
        self.clock.advance(SOON)
        self.look()
        self.device.hears(PHONE, WALL + 6, 7, 3)
        self.look()
        self.assertEqual(self.meter.carried, {"phone": (23, 157)})
        (status,) = self.phones.statuses()
        self.assertEqual((status.sent_bytes, status.received_bytes, status.endpoint), (23, 157, "192.0.2.1:5"))

    def test_comes_and_goes(self) -> None:
        """It is there as long as its keys are good."""
        self.look()
        self.device.hears(PHONE, WALL, 1, 1)
        self.look()
        self.assertEqual((self.state, self.phones.counters()["phones_connected"]), ("connected", 1))
        self.clock.advance(GONE_AFTER)
        self.look()
        self.assertEqual(
            (self.state, self.told, self.meter.here), ("away", ["phone-up", "phone-gone"], ["+phone", "-phone"])
        )

    def test_clock_set_back(self) -> None:
        """One that has gone before is not there for the hours by which the clock was put back."""
        self.look()
        self.device.hears(PHONE, WALL + 7200, 1, 1)
        self.look()
        self.assertEqual(self.state, "away")
        self.device.hears(PHONE, WALL, 2, 2)
        self.look()
        self.assertEqual(self.state, "connected")

    def test_quota(self) -> None:
        """Who has carried too much is out until it may again."""
        self.look()
        self.device.hears(PHONE, WALL, 1, 1)
        self.look()
        self.meter.refuses = "the quota of this month is used up"
        self.look()
        self.assertEqual((self.state, self.device.now.peers, self.ground.led), ("refused", (), ()))
        self.assertIn("quota", self.phones.statuses()[0].why)
        self.meter.refuses = ""
        self.look()
        self.assertEqual(len(self.device.now.peers), 1)

    def test_another_pool(self) -> None:
        """One whose addresses are not the server's any more is told of, and not let in."""
        self.phones = self.make(replace(ON, pool4="10.74.0.0/24", pool6=""))
        self.look()
        self.assertEqual((self.state, self.device.now.peers), ("refused", ()))
        self.assertIn("the phone phone has no address", self.phones.warnings()[0])

    def test_called(self) -> None:
        """A new device calls who was here a moment ago, until it has come; one that was not, it does not."""
        self.look()
        self.device.hears(PHONE, WALL, 1, 1)
        self.look()
        self.phones = self.make(ON)  # as after a kill
        self.look()
        (peer,) = self.device.changes[0].put
        self.assertEqual((peer.last, peer.keepalive > 0), ("192.0.2.1:5", True))
        self.assertEqual(self.state, "connected")
        self.device.hears(PHONE, WALL + 1, 1, 1)
        self.look()
        self.look()
        self.assertEqual([each.keepalive for each in self.device.changes[-1].put], [0])
        self.assertEqual(len(self.device.changes), 2)
        self.clock.advance(2 * GONE_AFTER)
        self.phones = self.make(ON)
        self.look()
        self.assertEqual(self.device.changes[0].put[0].last, "")


class DeviceTests(PhonesCase):
    def test_ended(self) -> None:
        """A device that ends is told of, and made again: soon at first, then later and later."""
        self.look()
        waits = list[float]()
        for _ in range(8):
            before = len(self.devices)
            self.ended("it was killed")
            self.assertEqual((self.ground.led, self.state), ((), "refused"))
            self.assertEqual(self.phones.warnings(), ("phones cannot come: it was killed",))
            while len(self.devices) == before:
                self.clock.advance(SOON)
                self.look()
            waits.append(self.clock.seconds())
        steps = [after - before for before, after in zip([0.0, *waits], waits, strict=False)]
        self.assertEqual((steps[:3], steps[-1]), ([SOON, 2 * SOON, 4 * SOON], LATE))
        self.assertEqual(self.phones.warnings(), ())
        self.assertEqual(self.phones.counters()["wireguard_ended"], 8)
        self.clock.advance(SOUND_AFTER + SOON)
        self.ended("it was killed")
        self.clock.advance(SOON)
        self.look()
        self.assertEqual(len(self.devices), 10)

    def test_told_once(self) -> None:
        """A machine that refuses again and again is told of once."""
        self.ground.refuses = True
        for _ in range(10):
            self.look()
            self.clock.advance(SOON)
        self.assertEqual(self.told, ["wireguard"])
        self.assertEqual(self.phones.warnings(), ("phones cannot come: not permitted",))
        self.ground.refuses = False
        self.clock.advance(LATE)
        self.look()
        self.assertEqual(self.told, ["wireguard", "wireguard"])

    def test_does_not_answer(self) -> None:
        """One that does not answer is ended, and replaced."""
        self.look()
        self.device.trouble = "it does not answer"
        self.look()
        self.assertEqual(
            (self.device.stopped, self.phones.warnings()), (1, ("phones cannot come: it does not answer",))
        )

    def test_ends_meanwhile(self) -> None:
        """What an ended device still tells is nothing any more."""
        self.look()
        self.device.waits = waiting = Deferred[Told]()
        looked = self.phones.look()
        self.ended("killed")
        waiting.callback(Told())
        self.successResultOf(looked)
        self.assertEqual((len(self.device.changes), self.ground.led), (1, ()))

    def test_ends_once(self) -> None:
        """One that ends while it is asked has ended once."""
        self.look()
        self.device.waits = waiting = Deferred[Told]()
        looked = self.phones.look()
        self.ended("it was killed")
        waiting.errback(HostError("it does not answer"))
        self.successResultOf(looked)
        self.assertEqual((self.phones.ended, self.phones.warnings()), (1, ("phones cannot come: it was killed",)))

    def test_spoilt_key(self) -> None:
        """Where our own key cannot be read that is what the operator is told, once."""
        self.key_trouble = "the file holds no key"
        self.look()
        self.clock.advance(SOON)
        self.look()
        self.assertEqual(self.phones.warnings(), ("phones cannot come: the file holds no key",))
        self.assertEqual((self.told, self.ground.downs), (["wireguard"], 2))

    def test_switched(self) -> None:
        """Settings apply at once: another port, another MTU, none at all, and on again."""
        self.look()
        self.phones.reconfigure(replace(ON, wireguard=WireGuardConfig("0.0.0.0:443", phone_mtu=1300)))
        self.assertEqual(self.device.now.port, 443)
        self.phones.reconfigure(ServerConfig(name="gw"))
        self.assertEqual((self.device.stopped, self.ground.downs, self.state), (1, 1, "refused"))
        self.look()
        self.assertEqual(self.ground.downs, 1)
        self.phones.reconfigure(ON)
        self.assertEqual((len(self.devices), self.state), (2, "new"))

    def test_off(self) -> None:
        """Where it is not wanted nothing is touched."""
        self.phones = self.make(ServerConfig(name="gw"))
        self.look()
        self.assertEqual((self.devices, self.ground.up, self.phones.counters()), ([], 0, {}))
        self.assertRaises(HostError, NoGround().wireguard_up, "morphwg0")

    def test_stop(self) -> None:
        """At the end the machine is left to who puts it back, and the device is waited for."""
        self.look()
        self.phones.leave()
        self.ended("its device is gone")
        self.look()
        self.assertEqual((self.ground.downs, self.told, len(self.devices)), (0, [], 1))
        self.successResultOf(self.phones.close())
        self.assertEqual(self.device.stopped, 1)
