"""What every store promises, as tests; a store's own test module derives from StoreContract."""

from __future__ import annotations

import ipaddress

from twisted.internet.defer import gatherResults
from twisted.trial.unittest import TestCase

from morphnet.errors import ConfigError
from morphnet.store.base import CertificateRecord, PoolExhausted, Store

POOL4, POOL6 = "10.73.0.0/24", "fd73::/64"
NOW = 1_800_000_000  # Unix seconds


def session_of(name: str) -> bytes:
    """16 bytes, others for each name."""
    return name.encode().ljust(16, b"\0")[:16]


def a_record(serial: str, name: str = "laptop", kind: str = "client", not_after: int = NOW + 1000) -> CertificateRecord:
    """One record."""
    return CertificateRecord(serial, name, kind, not_after)


class StoreContract(TestCase):
    """Import the module, not this name: trial would run it for itself."""

    def make_store(self) -> Store:
        """A new, empty store."""
        raise NotImplementedError

    def setUp(self) -> None:
        """Every test has its own store."""
        self.store = self.make_store()
        self.addCleanup(self.store.close)

    async def _lease(self, name: str, pool4: str = POOL4, pool6: str = POOL6) -> tuple[str, str]:
        lease = await self.store.lease(name, pool4, pool6, session_of(name))
        self.assertEqual(lease.name, name)
        return lease.inner4, lease.inner6

    async def test_lowest_first(self) -> None:
        """The first address is the server's; clients get the lowest that is free."""
        self.assertEqual(await self._lease("a"), ("10.73.0.2", "fd73::2"))
        self.assertEqual(await self._lease("b"), ("10.73.0.3", "fd73::3"))
        await self.store.release("a")
        self.assertEqual(await self._lease("c"), ("10.73.0.2", "fd73::2"))

    async def test_for_good(self) -> None:
        """A name keeps its addresses and its session's name, whatever is offered later."""
        first = await self.store.lease("a", POOL4, POOL6, b"1" * 16)
        self.assertEqual(await self.store.lease("a", POOL4, POOL6, b"2" * 16), first)
        self.assertEqual(first.session, b"1" * 16)
        self.assertEqual(await self.store.leases(), [first])

    async def test_never_two(self) -> None:
        """Many at once: everybody has an address, nobody has another's."""
        names = [f"n{number}" for number in range(40)]
        asked = [self.store.lease(name, POOL4, POOL6, session_of(name)) for name in names * 2]
        leases = {lease.name: lease for lease in await gatherResults(asked)}
        self.assertEqual(len({lease.inner4 for lease in leases.values()}), 40)
        self.assertEqual(len({lease.inner6 for lease in leases.values()}), 40)
        self.assertEqual({each.name: each for each in await self.store.leases()}, leases)

    async def test_exhausted(self) -> None:
        """A /29 has five clients; the sixth is refused and leaves no trace, until one is released."""
        names = "abcde"
        got = [(await self._lease(name, "192.0.2.0/29"))[0] for name in names]
        self.assertEqual(got, [f"192.0.2.{number}" for number in range(2, 7)])
        await self.assertFailure(self.store.lease("f", "192.0.2.0/29", POOL6, session_of("f")), PoolExhausted)
        self.assertEqual([each.name for each in await self.store.leases()], list(names))
        await self.store.release("c")
        self.assertEqual((await self._lease("f", "192.0.2.0/29"))[0], "192.0.2.4")

    async def test_one_family(self) -> None:
        """A pool that is off gives nothing, to any number of clients."""
        self.assertEqual(await self._lease("a", "", POOL6), ("", "fd73::2"))
        self.assertEqual(await self._lease("b", "", POOL6), ("", "fd73::3"))
        self.assertEqual(await self._lease("a", POOL4, ""), ("10.73.0.2", ""))
        self.assertEqual(await self._lease("a"), ("10.73.0.2", "fd73::2"))

    async def test_pool_moved(self) -> None:
        """A lease outside of the new pool, or on the server's new address, is made anew; the session stays."""
        await self._lease("a")
        await self._lease("b")
        self.assertEqual(await self._lease("b", "10.73.0.0/25"), ("10.73.0.3", "fd73::3"))
        moved = await self.store.lease("b", "10.74.0.0/24", POOL6, b"2" * 16)
        self.assertEqual((moved.inner4, moved.inner6, moved.session), ("10.74.0.2", "fd73::3", session_of("b")))
        self.assertEqual(await self._lease("a", "10.73.0.0/30"), ("10.73.0.2", "fd73::2"))
        self.assertEqual(await self._lease("a", "10.73.0.2/31"), ("10.73.0.3", "fd73::2"))

    async def test_bad_pool(self) -> None:
        """A pool that is no prefix is the operator's to put right."""
        for pool4, pool6 in (("10.73.0.5/24", ""), ("fd73::/64", ""), ("", "10.73.0.0/24"), ("x", ""), ("", "::/129")):
            await self.assertFailure(self.store.lease("a", pool4, pool6, session_of("a")), ConfigError)
        self.assertEqual(await self.store.leases(), [])

    async def test_smallest_pools(self) -> None:
        """One address is the server's alone; two are server and client."""
        await self.assertFailure(self.store.lease("a", "10.0.0.1/32", "", session_of("a")), PoolExhausted)
        await self.assertFailure(self.store.lease("a", "", "fd00::1/128", session_of("a")), PoolExhausted)
        self.assertEqual(await self._lease("a", "10.0.0.0/31", "fd00::/127"), ("10.0.0.1", "fd00::1"))

    async def test_all_are_hosts(self) -> None:
        """Neither network nor broadcast nor the server's address is ever leased."""
        network = ipaddress.ip_network("10.9.8.0/28")
        got = [(await self._lease(f"n{number}", str(network), ""))[0] for number in range(13)]
        self.assertEqual(got, [str(each) for each in network.hosts()][1:])

    async def test_certificates(self) -> None:
        """Every record comes back, oldest first."""
        records = [a_record("2"), a_record("1", "phone", "invite"), a_record("3", "gw", "server")]
        for each in records:
            await self.store.add_certificate(each)
        self.assertEqual(await self.store.certificates(), records)

    async def test_revoke(self) -> None:
        """All of a name's certificates and invitations, once, and nobody else's."""
        for each in (a_record("1"), a_record("2", kind="invite"), a_record("3", "phone")):
            await self.store.add_certificate(each)
        self.assertEqual(await self.store.revoke("laptop", NOW), ["1", "2"])
        await self.store.add_certificate(a_record("4"))
        self.assertEqual(await self.store.revoke("laptop", NOW + 5), ["4"])
        self.assertEqual(await self.store.revoke("nobody", NOW), [])
        at = {each.serial: each.revoked_at for each in await self.store.certificates()}
        self.assertEqual(at, {"1": NOW, "2": NOW, "3": 0, "4": NOW + 5})

    async def test_invite_once(self) -> None:
        """The first use of an invitation is the last one, also when two come at the same time."""
        await self.store.add_certificate(a_record("1", kind="invite"))
        both = await gatherResults([self.store.use_invite("1", NOW), self.store.use_invite("1", NOW)])
        self.assertEqual(sorted(both), [False, True])
        (record,) = await self.store.certificates()
        self.assertEqual(record.used_at, NOW)

    async def test_invites_that_are_none(self) -> None:
        """Unknown, revoked, expired, or no invitation at all."""
        for each in (a_record("1"), a_record("2", "phone", "invite"), a_record("3", kind="invite", not_after=NOW)):
            await self.store.add_certificate(each)
        await self.store.revoke("phone", NOW)
        for serial in ("1", "2", "3", "4"):
            self.assertFalse(await self.store.use_invite(serial, NOW), serial)

    async def test_traffic(self) -> None:
        """Bytes add up."""
        await self.store.add_traffic("a", 1, 2)
        await self.store.add_traffic("a", 1 << 40, 5)
        await self.store.add_traffic("b", 0, 1)
        self.assertEqual(await self.store.traffic(), {"a": ((1 << 40) + 1, 7), "b": (0, 1)})
