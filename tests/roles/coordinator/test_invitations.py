"""Who may register."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError, Refused
from morphnet.roles.coordinator.invitations import KEY, Invited, read_key
from morphnet.store.homes import HomesLedger
from morphnet.wire.messages.home.calls import to_text


class InvitationTests(SynchronousTestCase):
    def test_invited(self) -> None:
        """Who brings an invitation is let in then and later; an open coordinator asks for none."""
        ledger = HomesLedger(Path(self.mktemp()))
        self.addCleanup(ledger.close)
        ledger.invite("token", 100)
        gatekeeper = Invited(ledger, lambda: 50.0, open_to_all=False)
        self.assertRaises(Refused, gatekeeper.admit, "home", "")
        gatekeeper.admit("home", "token")
        gatekeeper.admit("home", "")
        self.assertRaises(Refused, gatekeeper.admit, "other", "token")
        Invited(ledger, lambda: 50.0, open_to_all=True).admit("other", "")

    def test_key(self) -> None:
        """It is read, or its absence told."""
        state = Path(self.mktemp())
        state.mkdir()
        self.assertRaises(ConfigError, read_key, state)
        (state / KEY).write_text(to_text(b"k" * 32) + "\n")
        self.assertEqual(read_key(state).private_bytes_raw(), b"k" * 32)
