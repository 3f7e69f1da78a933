"""Who may register."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import Deferred, fail
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import Away, ConfigError, Refused
from morphnet.roles.coordinator.invitations import KEY, Invited, Outbox, read_key
from morphnet.store.homes import HomesLedger, LedgerHomes, MemoryHomes, hidden
from morphnet.wire.messages.home.calls import to_text


class Absentee(MemoryHomes):
    """A store that may be away."""

    away = False

    def is_known(self, home: str) -> Deferred[bool]:
        return fail(Away("away")) if self.away else super().is_known(home)

    def forget(self, home: str, at: int) -> Deferred[bool]:
        return fail(Away("away")) if self.away else super().forget(home, at)


class InvitationTests(SynchronousTestCase):
    def ledger(self) -> HomesLedger:
        ledger = HomesLedger(Path(self.mktemp()))
        self.addCleanup(ledger.close)
        return ledger

    def admit(self, gatekeeper: Invited, home: str, invite: str = "") -> Deferred[None]:
        return Deferred.fromCoroutine(gatekeeper.admit(home, invite))

    def test_invited(self) -> None:
        """Who brings an invitation is let in then and later; an open coordinator asks for none."""
        homes = MemoryHomes()
        homes.invite(hidden("token"), 100)
        gatekeeper = Invited(homes, lambda: 50.0, open_to_all=False)
        self.failureResultOf(self.admit(gatekeeper, "home"), Refused)
        self.successResultOf(self.admit(gatekeeper, "home", "token"))
        self.successResultOf(self.admit(gatekeeper, "home"))
        self.failureResultOf(self.admit(gatekeeper, "other", "token"), Refused)
        self.successResultOf(self.admit(Invited(homes, lambda: 50.0, open_to_all=True), "other"))

    def test_forgotten(self) -> None:
        """A home that was forgotten sends its token again, which is good for others: it stays outside all the same."""
        homes = MemoryHomes()
        homes.invite(hidden("token"), 100, 5, 40_000)
        gatekeeper = Invited(homes, lambda: 50.0, open_to_all=False, copy=self.ledger())
        self.successResultOf(self.admit(gatekeeper, "home", "token"))
        homes.forget("home", 45_000)
        for _ in "12":
            self.failureResultOf(self.admit(gatekeeper, "home", "token"), Refused)
        self.successResultOf(self.admit(gatekeeper, "other", "token"))

    def test_full_disk(self) -> None:
        """A home whose coming cannot be written down is put off, and the operator told once; a known one is not."""
        ledger = self.ledger()
        gatekeeper = Invited(LedgerHomes(ledger), lambda: 50.0, open_to_all=False)
        ledger.invite(hidden("token"), 100, 2)
        self.successResultOf(self.admit(gatekeeper, "home", "token"))
        ledger._sql.execute("PRAGMA query_only = 1")
        with capturedLogs() as said:
            for _ in "12":
                self.failureResultOf(self.admit(gatekeeper, "other", "token"), Away)
        (line,) = map(formatEvent, said)
        self.assertIn("readonly", line)
        self.successResultOf(self.admit(gatekeeper, "home"))
        ledger._sql.execute("PRAGMA query_only = 0")
        self.successResultOf(self.admit(gatekeeper, "other", "token"))

    def test_copy_on_a_full_disk(self) -> None:
        """Whom the store knows is let in also where it cannot be noted here."""
        ledger, homes = self.ledger(), MemoryHomes()
        homes.know("home", 5)
        ledger._sql.execute("PRAGMA query_only = 1")
        gatekeeper = Invited(homes, lambda: 50.0, open_to_all=False, copy=ledger)
        self.successResultOf(self.admit(gatekeeper, "home"))
        self.failureResultOf(self.admit(gatekeeper, "other"), Refused)

    def test_store_away(self) -> None:
        """Those that were let in here before are let in while the store is away; who was forgotten meanwhile is not."""
        homes = Absentee()
        gatekeeper = Invited(homes, lambda: 50.0, open_to_all=False, copy=self.ledger())
        for home in ("home", "gone"):
            homes.know(home, 5)
            self.successResultOf(self.admit(gatekeeper, home))
        homes.forget("gone", 60_000)
        self.failureResultOf(self.admit(gatekeeper, "gone"), Refused)
        homes.away = True
        self.successResultOf(self.admit(gatekeeper, "home"))
        for home in ("gone", "new"):
            self.failureResultOf(self.admit(gatekeeper, home, "token"), Away)

    def test_outbox(self) -> None:
        """What was written here while the store was away is told it once it is back."""
        ledger, homes = self.ledger(), Absentee()
        homes.know("forgotten", 1)
        ledger.know("old", 1)
        ledger.invite(hidden("token"), 100, 3, 50_000)
        ledger.forget("forgotten", 60_000, tell=True)
        told = list[str]()

        async def forget(home: str) -> None:
            told.append(home)

        outbox = Outbox(ledger, homes, forget)
        homes.away = True
        self.successResultOf(Deferred.fromCoroutine(outbox.empty()))
        homes.away = False
        self.successResultOf(Deferred.fromCoroutine(outbox.empty()))
        known = [self.successResultOf(homes.is_known(each)) for each in ("old", "forgotten")]
        self.assertEqual((known, self.successResultOf(homes.take("new", hidden("token"), 50))), ([True, False], True))
        self.assertFalse(self.successResultOf(homes.take("forgotten", hidden("token"), 50)))
        self.assertEqual((ledger.not_copied(), ledger.invitations(), ledger.forgotten()), ([], [], []))
        self.assertEqual(told, ["forgotten"])

    def test_key(self) -> None:
        """It is read, or its absence told."""
        state = Path(self.mktemp())
        state.mkdir()
        self.assertRaises(ConfigError, read_key, state)
        (state / KEY).write_text(to_text(b"k" * 32) + "\n")
        self.assertEqual(read_key(state).private_bytes_raw(), b"k" * 32)
