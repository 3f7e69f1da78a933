"""Who may what at a gateway: whose addresses are, and who is told."""

from __future__ import annotations

import ipaddress
import random
from dataclasses import replace
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.policy import Policy, from_toml
from morphnet.config.roles import ServerConfig
from morphnet.host.phone_policy import Known
from morphnet.net.pump import Pump
from morphnet.pki.policy import Published, pack
from morphnet.pki.revocations import draft_revocations
from morphnet.roles.certificates.publishing import Publisher
from morphnet.roles.certificates.revocation_file import Revoked
from morphnet.roles.process import access
from morphnet.roles.server.access import ServerAccess
from morphnet.roles.server.certificates import Certificates
from morphnet.store.base import Lease
from morphnet.store.memory import MemoryStore
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire.messages.access import MOST_HOLDERS, Holders
from morphnet.wire.messages.control import Hello
from tests.fakes_pki import NOW, an_authority
from tests.roles.server.test_node import FakeCaller

PUBLIC = "203.0.113.5"  # an address of the gateway
NAMED = from_toml('[[allow]]\nfrom = "laptop"\nto = ["home", "nobody"]')


def lease(name: str, number: int) -> Lease:
    return Lease(name, f"10.73.0.{number}", f"fd73::{number}", bytes(16))


class ServerAccessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(access, "public_addresses", lambda: (PUBLIC,))
        self.authority, folder, clock = an_authority(), Path(self.mktemp()), Clock()
        cas = [self.authority.certificate]
        publisher = Publisher(folder, lambda: cas, None)
        self.certificates = Certificates("", MemoryStore(), Revoked(lambda: cas, folder / "r.pem"), publisher, clock)
        pump = Pump(clock, Tunnel(server=True, entropy=random.Random(7).randbytes), clock.seconds)
        self.addCleanup(pump.stop)
        config = ServerConfig(name="gw", pool4="10.73.0.0/24", pool6="fd73::/64")
        self.access = ServerAccess(config, pump, self.certificates, lambda *line: None)
        self.access.begin([lease("laptop", 2), lease("phone", 4), lease("gateway", 6)])
        self.callers = {name: FakeCaller(name) for name in ("laptop", "phone", "old")}
        for name, caller in self.callers.items():
            self.access.welcomed(caller, Hello(name=name, holders=name != "old"))
        self.lists = 0

    def publish(self, policy: Policy) -> None:
        self.lists += 1
        packed = pack(Published(self.lists, policy))
        draft = draft_revocations({}, None, now=NOW + self.lists, policy=packed)
        self.certificates.exchange.publish(self.authority.sign_revocations(draft))

    def said(self, name: str) -> list[Holders]:
        return [each for each in self.callers[name].said if isinstance(each, Holders)]

    def names(self, address: str) -> tuple[str, ...]:
        return self.access.places.who(ipaddress.ip_address(address).packed).names

    def test_places(self) -> None:
        """Addresses are those of leases, and the gateway's own, public ones among them."""
        self.access.look_around()
        asked = ("10.73.0.1", "fd73::1", PUBLIC, "fd73::2", "10.73.0.4", "10.73.0.9", "10.73.0.6")
        found = [self.names(each) for each in asked]
        self.assertEqual(found, [("gateway", "gw")] * 3 + [("laptop",), ("phone",), (), ()])

    def test_told(self) -> None:
        """Clients that understand hear of the machines that the policy names, and of no others, when that changes."""
        self.assertEqual([self.said(name) for name in self.callers], [[Holders()], [Holders()], []])
        self.publish(NAMED)
        laptop = ("10.73.0.2 laptop", "fd73::2 laptop")
        self.assertEqual([self.said(name) for name in self.callers], [[Holders(), Holders(laptop)]] * 2 + [[]])
        self.access.leased(lease("laptop", 2))
        self.access.leased(lease("tablet", 5))
        self.access.left(self.callers["phone"])
        self.access.leased(lease("home", 3))
        home = ("10.73.0.3 home", "fd73::3 home")
        self.assertEqual([len(self.said(name)) for name in self.callers], [3, 2, 0])
        self.assertEqual(self.said("laptop")[-1], Holders(home + laptop))
        self.access.welcomed(self.callers["phone"], Hello(name="phone", holders=True))
        self.assertEqual(self.said("phone")[-1], Holders(home + laptop))
        self.publish(Policy(is_open=True))
        self.assertEqual(self.said("laptop")[-1], Holders())

    def test_passed_on(self) -> None:
        """Addresses that were released and are another's now are that one's alone, whether rules name it or not."""
        self.publish(NAMED)
        self.access.leased(lease("stranger", 2))
        self.assertEqual(self.said("phone")[-1], Holders())
        self.assertEqual(self.names("10.73.0.2"), ("stranger",))
        self.access.leased(lease("home", 2))
        self.assertEqual(self.said("phone")[-1], Holders(("10.73.0.2 home", "fd73::2 home")))

    def test_many(self) -> None:
        """Very many are told in several messages."""
        for number in range(MOST_HOLDERS):
            self.access.leased(Lease(f"m{number:03}", f"10.73.1.{number}", "", bytes(16)))
        names = ", ".join(f'"m{number:03}"' for number in range(MOST_HOLDERS))
        self.publish(from_toml(f'[[allow]]\nfrom = [{names}, "laptop"]\nto = "*"'))
        one, other = self.said("laptop")[1:]
        self.assertEqual((len(one.holders), one.more, len(other.holders), other.more), (MOST_HOLDERS, False, 2, True))

    def test_phones(self) -> None:
        """What phones are judged by: the policy, and whose addresses are of whom it names; told when it is new."""
        told: list[Known | None] = []
        self.access.news = lambda: told.append(self.access.known())
        self.assertIsNone(self.access.known())
        self.publish(NAMED)
        own = ("10.73.0.1", "fd73::1", PUBLIC)
        machines = {"laptop": ("10.73.0.2", "fd73::2"), "gateway": own, "gw": own}
        known = Known(NAMED, machines, ("10.73.0.0/24", "fd73::/64"))
        self.assertEqual(told, [known])
        self.access.leased(lease("home", 7))
        self.assertEqual(told[-1], replace(known, machines={**machines, "home": ("10.73.0.7", "fd73::7")}))
        self.publish(Policy(is_open=True))
        self.assertIsNone(told[-1])
