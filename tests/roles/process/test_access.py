"""The network's policy in a process: it comes with the signed list, and the pump is guarded while there is one."""

from __future__ import annotations

import random
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.policy import Policy, from_toml
from morphnet.errors import HostError
from morphnet.net.pump import Pump
from morphnet.ops.show_policy import published_at
from morphnet.pki.policy import Published, pack
from morphnet.pki.revocations import draft_revocations
from morphnet.roles.certificates.revocation_file import Revoked
from morphnet.roles.process import access
from morphnet.roles.process.access import Access
from morphnet.tunnel.events import Effects
from morphnet.tunnel.guard import LOOK_EVERY
from morphnet.tunnel.places import OURSELVES
from morphnet.tunnel.tunnel import Tunnel
from tests.fakes_pki import NOW, an_authority
from tests.net.test_pump import FakeTun
from tests.tunnel.test_guard import HOME, LAPTOP, WEB, tcp, udp

POLICY = from_toml('[[allow]]\nfrom = "laptop"\nto = "home"\nports = "22/tcp"\n[[allow]]\nfrom = "home"\nto = "laptop"')


class AccessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.authority = an_authority()
        self.path = Path(self.mktemp()) / "revoked.pem"
        self.told: list[tuple[str, str]] = []
        self.lists = 0
        self.start()

    def start(self) -> None:
        """A process, or the same after a restart."""
        self.revoked = Revoked(lambda: [self.authority.certificate], self.path)
        clock = self.clock = Clock()
        self.pump = Pump(clock, Tunnel(server=False, entropy=random.Random(7).randbytes), clock.seconds)
        self.pump.tun = self.tun = FakeTun()
        self.addCleanup(self.pump.stop)
        self.access = Access(self.pump, self.revoked, lambda kind, peer, text: self.told.append((kind, text)))
        self.access.places.are(OURSELVES, {HOME: ("home",), LAPTOP: ("laptop",)})

    def publish(self, sequence: int, policy: Policy) -> None:
        self.lists += 1
        draft = draft_revocations({}, None, now=NOW + self.lists, policy=pack(Published(sequence, policy)))
        self.revoked.learn(self.authority.sign_revocations(draft).pem)
        self.access.look()

    def passes(self, packet: bytearray) -> bool:
        """Whether the kernel gets it."""
        before = len(self.tun.written)
        self.pump.carry_out(Effects(delivers=[packet]))
        return len(self.tun.written) > before

    def test_none(self) -> None:
        """Without a policy everything passes, and nothing is said."""
        self.assertTrue(self.passes(tcp(LAPTOP, HOME, (40000, 80))))
        self.assertEqual((self.access.status(), self.pump.guard, self.told), (None, None, []))

    def test_live(self) -> None:
        """A policy is in force from when it comes, the next one in its place; one that is withdrawn is none."""
        self.publish(1796000000, POLICY)
        self.assertEqual([self.passes(tcp(LAPTOP, HOME, (9, port))) for port in (22, 80, 80)], [True, False, False])
        status = self.access.status()
        assert status is not None
        self.assertEqual((status.sequence, status.rules, status.enforced), (1796000000, 2, True))
        (refused,) = status.refused
        self.assertEqual(
            (refused.source, refused.target, refused.what, refused.packets), ("laptop", "home", "80/tcp", 2)
        )
        self.assertEqual([kind for kind, _ in self.told], ["policy", "refused"])
        self.publish(1796000001, Policy())
        self.assertFalse(self.passes(tcp(LAPTOP, HOME, (9, 22))))
        self.publish(1796000002, Policy(is_open=True))
        self.assertTrue(self.passes(tcp(LAPTOP, HOME, (9, 80))))
        self.assertEqual(self.access.counters()["policy_refused"], 3)
        self.assertIn(f"the policy of {published_at(1796000002)} is withdrawn: everybody", self.told[-1][1])
        self.publish(1796000001, POLICY)
        self.assertIsNone(self.pump.guard)

    def test_own_public_addresses(self) -> None:
        """What is for a public address of this machine itself is not for the world, from soon after it has that."""
        here = list[str]()
        self.patch(access, "public_addresses", lambda: tuple(here))
        self.publish(7, from_toml('[[allow]]\nfrom = "laptop"\nto = "world"'))
        packet = tcp(LAPTOP, WEB, (40000, 22))
        self.assertTrue(self.passes(packet))
        here.append(WEB)
        self.clock.advance(LOOK_EVERY)
        self.assertFalse(self.passes(packet))
        here.clear()
        self.clock.advance(LOOK_EVERY - 1)
        self.assertFalse(self.passes(packet))
        self.clock.advance(1)
        self.assertTrue(self.passes(packet))

    def test_not_told(self) -> None:
        """While the kernel does not tell them those of before are ours."""
        self.patch(access, "public_addresses", lambda: (WEB,))
        self.publish(7, from_toml('[[allow]]\nfrom = "laptop"\nto = "world"'))
        self.assertFalse(self.passes(tcp(LAPTOP, WEB, (40000, 22))))

        def silent() -> tuple[str, ...]:
            raise HostError("the kernel does not answer")

        self.patch(access, "public_addresses", silent)
        self.clock.advance(LOOK_EVERY)
        self.assertFalse(self.passes(tcp(LAPTOP, WEB, (40000, 22))))

    def test_restart(self) -> None:
        """It is in force from the first packet on, and what answers by UDP answers what went out."""
        self.publish(5, POLICY)
        self.start()
        self.assertFalse(self.passes(tcp(LAPTOP, HOME, (9, 80))))
        self.assertTrue(self.passes(tcp(LAPTOP, HOME, (22, 9), flags=16)))
        answer = udp(LAPTOP, HOME, (53, 9))
        self.assertFalse(self.passes(answer))
        self.pump.from_tun([memoryview(udp(HOME, LAPTOP, (9, 53)))])
        self.assertTrue(self.passes(answer))

    def test_not_read(self) -> None:
        """One that is for another version is not in force; the last one stays, and the operator is told."""
        self.publish(5, POLICY)
        self.assertEqual(self.access.warnings(), ())
        draft = draft_revocations({}, None, now=NOW + 99, policy=b"\2" + bytes(40))
        self.revoked.learn(self.authority.sign_revocations(draft).pem)
        self.access.look()
        self.assertFalse(self.passes(tcp(LAPTOP, HOME, (9, 80))))
        (warning,) = self.access.warnings()
        self.assertIn("that of 1970-01-01 00:00:05 UTC stays in force", warning)
        self.flushLoggedErrors()
