"""What every store promises, as tests; a store's own test module derives from StoreContract."""

from __future__ import annotations

import ipaddress

from twisted.internet.defer import gatherResults
from twisted.trial.unittest import TestCase

from morphnet.errors import ConfigError
from morphnet.store.base import Accounts, CertificateRecord, PoolExhausted, Post, Store

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


class AccountsContract(TestCase):
    """What a store promises of its accounts; see StoreContract."""

    def make_store(self) -> Store:
        """A new, empty store."""
        raise NotImplementedError

    def setUp(self) -> None:
        """Every test has its own store."""
        self.store = self.make_store()
        self.addCleanup(self.store.close)

    async def add(self, month: str, report: bool = True, **amounts: tuple[int, int]) -> str:
        """Count so much."""
        return await self.store.account(lambda book: book.add(month, amounts, report=report))

    async def months(self) -> list[tuple[str, str, int, int]]:
        """All that was counted."""
        return [(*each,) for each in await self.store.account(lambda book: book.months())]

    async def posts(self) -> list[tuple[str, str, int, int]]:
        """All that is to be told, taken at once."""
        return [(each.kind, each.name, each.sent, each.received) for each in await self.taken()]

    async def taken(self) -> list[Post]:
        """The same, whole."""

        def take(book: Accounts) -> list[Post]:
            found = []
            while (post := book.next_post()) is not None:
                found.append(post)
                book.taken(post.number)
            return found

        return await self.store.account(take)

    async def test_months(self) -> None:
        """Bytes add up, each month for itself."""
        await self.add("2026-11", a=(1, 2), b=(0, 1))
        await self.add("2026-11", a=(1 << 40, 5))
        self.assertEqual(await self.add("2026-12", a=(7, 7)), "2026-12")
        told = [("a", "2026-12", 7, 7), ("a", "2026-11", (1 << 40) + 1, 7), ("b", "2026-11", 0, 1)]
        self.assertEqual(await self.months(), told)
        standing = await self.store.account(lambda book: book.standing("2026-12"))
        self.assertEqual((standing.month, dict(standing.amounts)), ("2026-12", {"a": (7, 7)}))

    async def test_steps_back(self) -> None:
        """A clock that steps back gives nobody another month; one that was wrong is put right by hand."""
        await self.add("2026-11", a=(1, 1))
        await self.add("2099-01", a=(2, 2), b=(3, 3))
        self.assertEqual(await self.add("1970-01", a=(4, 4)), "2099-01")
        self.assertEqual((await self.store.account(lambda book: book.standing("2026-11"))).month, "2099-01")
        self.assertEqual(await self.store.account(lambda book: book.fold("2026-11")), 2)
        self.assertEqual(await self.months(), [("a", "2026-11", 7, 7), ("b", "2026-11", 3, 3)])

    async def test_never_too_large(self) -> None:
        """Sums end at what a record holds."""
        for _ in range(3):
            await self.add("2026-11", a=((1 << 62), 1))
        self.assertEqual(await self.months(), [("a", "2026-11", (1 << 63) - 1, 3)])

    async def test_reports(self) -> None:
        """Each byte is reported once, what was tried stays as it is, and what was not yet tried grows."""
        await self.add("2026-11", a=(1, 2), b=(5, 5))
        await self.add("2026-11", report=False, c=(9, 9))
        await self.store.account(lambda book: book.report())
        first = await self.store.account(lambda book: book.next_post())
        assert first is not None
        await self.add("2026-12", a=(10, 20), b=(50, 50))
        await self.store.account(lambda book: book.report())
        await self.store.account(lambda book: book.report())
        again = await self.store.account(lambda book: book.next_post())
        self.assertEqual(again, first)
        other = await self.store.account(lambda book: book.next_post((first.number,)))
        self.assertEqual((first.name, first.sent), ("a", 1))
        self.assertEqual(other and (other.name, other.sent), ("b", 55))
        taken = await self.taken()
        self.assertEqual([(each.name, each.sent) for each in taken], [("a", 1), ("b", 55), ("a", 10)])
        self.assertEqual(len({each.key for each in taken}), 3)
        self.assertEqual(await self.store.account(lambda book: book.waiting()), 0)

    async def test_set_aside(self) -> None:
        """What waits has those wait that are about the same: they are joined, so that they do not become many."""
        aside = list[int]()

        def tell(book: Accounts) -> None:
            for session in ("s1", "s2"):
                book.came(session)
            book.add("2026-11", {"a": (1, 1), "b": (1, 1)}, report=True)
            book.report()
            while post := book.next_post(aside):
                if post.name == "b":
                    book.taken(post.number)
                else:
                    aside.append(post.number)

        for _ in range(4):
            await self.store.account(tell)
            self.assertEqual(len(aside), 2)  # of a, and of sessions
        self.assertEqual(
            await self.posts(),
            [("add", "s1", 0, 0), ("add", "s2", 0, 0), ("traffic", "a", 1, 1), ("traffic", "a", 3, 3)],
        )

    async def test_come_and_go(self) -> None:
        """A session is told of once each way; what the webhook has not heard of is not told at all."""

        async def do(what: str, session: str) -> None:
            await self.store.account(
                lambda book: book.came(session) if what == "came" else book.gone((session, "nobody"))
            )

        for what in ("came", "gone", "came", "came"):
            await do(what, "a")
        self.assertEqual(await self.posts(), [("add", "a", 0, 0)])
        for what in ("gone", "gone", "came"):
            await do(what, "a")
        self.assertEqual(await self.posts(), [])
        await do("gone", "a")
        await self.store.account(lambda book: book.next_post())  # it is tried, and not known to have arrived
        await do("came", "a")
        self.assertEqual(await self.posts(), [("subtract", "a", 0, 0), ("add", "a", 0, 0)])

    async def test_announced(self) -> None:
        """A server that begins anew has none of the sessions of before."""
        await self.store.account(lambda book: book.came("a"))
        await self.posts()
        await self.store.account(lambda book: book.came("b"))
        for _ in range(3):
            await self.store.account(lambda book: book.announce("gw"))
        self.assertEqual(await self.posts(), [("subtract", "a", 0, 0), ("server", "gw", 0, 0)])
