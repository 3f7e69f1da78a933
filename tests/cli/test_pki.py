"""`morphnet pki list`, `revoke`, `renew`."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from morphnet.cli import pki
from morphnet.cli.layout import ledger_in
from morphnet.pki.authority import DAY, names_of
from morphnet.pki.book import JOIN, Book, Entry, signer_directory
from morphnet.pki.files import load_credentials, read_certificate
from morphnet.pki.revocations import from_text
from morphnet.roles.certificates.publishing import SIGNED
from morphnet.store.base import CertificateRecord
from morphnet.store.ledger import Ledger
from tests.cli.case import CommandCase


class PkiTests(CommandCase):
    def setUp(self) -> None:
        """A network with a laptop and an invited phone."""
        super().setUp()
        self.init()
        with self.ledger() as ledger:
            ledger.add_certificate(CertificateRecord("abc", "laptop", "client", 1 << 32))
        self.good("invite", "phone")

    def _states(self) -> list[tuple[str, str, str]]:
        rows = json.loads(self.good("pki", "list", "--json").stdout)
        return [(each["name"], each["kind"], each["state"]) for each in rows]

    def test_list(self) -> None:
        """All of them, the CA first, for people and for machines."""
        self.assertEqual(
            self._states(),
            [
                ("morphnet gw", "ca", "good"),
                ("gw", "server", "good"),
                ("laptop", "client", "good"),
                ("phone", "invite", "good"),
            ],
        )
        shown = self.good("pki", "list").stdout
        self.assertEqual(len(shown.splitlines()), 5)
        self.assertIn("laptop", shown)

    def test_states(self) -> None:
        """Used, revoked and expired are told apart."""
        with self.ledger() as ledger:
            self.assertTrue(ledger.use_invite(ledger.certificates()[-1].serial, 5))
            ledger.add_certificate(CertificateRecord("def", "old", "client", 7))
        self.good("pki", "revoke", "laptop")
        self.assertEqual([state for _, _, state in self._states()], ["good", "good", "revoked", "used", "expired"])

    def _known(self, *records: CertificateRecord) -> None:
        with self.ledger() as ledger:
            for each in records:
                ledger.add_certificate(each)

    def test_late(self) -> None:
        """The exit code is 3 when the last certificate of a machine should have been renewed by now, and says whose."""
        at = int(time.time())
        self._known(
            CertificateRecord("a1", "phone", "client", at + 29 * DAY),
            CertificateRecord("a2", "gone", "client", at - DAY),
            CertificateRecord("a3", "early", "client", at + 31 * DAY),
            CertificateRecord("a4", "lost", "client", at + DAY),
            CertificateRecord("a5", "meet2", "server", at - DAY),
        )
        self.good("pki", "revoke", "lost")
        for words in ((), ("--json",)):
            done = self.run_command("pki", "list", *words)
            self.assertEqual(done.exit_code, 3)
            first, second = done.stderr.splitlines()
            self.assertTrue(first.startswith("the client certificate of phone ends in "), first)
            self.assertTrue(second.startswith("the server certificate of meet2 has ended on "), second)
        self._known(
            CertificateRecord("b1", "phone", "client", at + 300 * DAY),
            CertificateRecord("b5", "meet2", "server", at + 300 * DAY),
        )
        self.good("pki", "list")

    def test_revoke(self) -> None:
        """Certificates and open invitations of one name; the address only when asked for."""
        with self.ledger() as ledger:
            ledger.lease("laptop", "10.73.0.0/24", "", bytes(16))
        self.assertIn("Revoked 1 of laptop; nothing of ours runs here now", self.good("pki", "revoke", "laptop").stdout)
        with self.ledger() as ledger:
            self.assertEqual(len(ledger.leases()), 1)
        self.assertIn("nothing left", self.good("pki", "revoke", "laptop", "--release").stdout)
        self.good("pki", "revoke", "phone")
        with self.ledger() as ledger:
            self.assertEqual(ledger.leases(), [])
            self.assertFalse(ledger.use_invite(ledger.certificates()[-1].serial, 5))

    def test_revoke_wrong(self) -> None:
        """Nobody of that name, and the server itself."""
        self.assertIn("nobody is called 'laptpo'", self.bad("pki", "revoke", "laptpo"))
        self.assertIn("is this server", self.bad("pki", "revoke", "gw"))

    def test_renew(self) -> None:
        """A new certificate for the same key, with the same names, or with new addresses."""
        before = read_certificate(self.place.pki_dir, "gw")
        self.good("pki", "renew")
        after = read_certificate(self.place.pki_dir, "gw")
        self.assertNotEqual(after.serial_number, before.serial_number)
        self.assertEqual(names_of(after), names_of(before))
        load_credentials(self.place.pki_dir, "gw")
        self.good("pki", "renew", "gw", "--address", "new.example.org")
        self.assertEqual(names_of(read_certificate(self.place.pki_dir, "gw")), ["gw", "new.example.org"])
        self.assertEqual([kind for _, kind, _ in self._states()].count("server"), 3)

    def test_renew_wrong(self) -> None:
        """The CA cannot, and clients do it themselves."""
        self.assertIn("rotate", self.bad("pki", "renew", "ca"))
        self.assertIn("laptop itself", self.bad("pki", "renew", "laptop"))
        self.assertIn("neither a DNS name", self.bad("pki", "renew", "--address", "x y"))

    def test_no_database(self) -> None:
        """A database that is gone is one sentence, not a traceback."""
        for each in self.place.state_dir.iterdir():
            each.unlink()
        self.place.state_dir.rmdir()
        self.place.state_dir.write_text("in the way")
        self.assertIn("morphnet.db", self.bad("pki", "list"))

    def test_list_is_signed(self) -> None:
        """What is revoked is in a signed list beside the database at once, whatever runs here."""
        self.good("pki", "revoke", "laptop")
        ca = read_certificate(self.place.pki_dir, "ca")
        text = (self.place.state_dir / SIGNED).read_text()
        self.assertEqual(from_text(text, ca).serials, {"abc"})
        (self.place.state_dir / SIGNED).unlink()
        self.good("pki", "revoke", "phone")
        text = (self.place.state_dir / SIGNED).read_text()
        self.assertEqual(len(from_text(text, ca).serials), 2)

    def test_nothing_is_signed_meanwhile(self) -> None:
        """While a name is revoked the CA signs nothing; what it signed for that name is revoked, recorded or not."""
        book = signer_directory(self.place.state_dir)
        with Book(book).opened() as entries:
            entries.add(Entry(int(time.time()), JOIN, "laptop", "fed"))
        held = []

        @contextmanager
        def watched(state_dir: Path) -> Iterator[Ledger]:
            with (book / "book").open() as file, ledger_in(state_dir) as ledger:
                held.append(self.assertRaises(BlockingIOError, fcntl.flock, file, fcntl.LOCK_EX | fcntl.LOCK_NB))
                yield ledger

        self.patch(pki, "ledger_in", watched)
        self.good("pki", "revoke", "laptop")
        self.assertEqual(len(held), 1)
        with Book(book).opened() as entries:
            self.assertEqual(set(entries.revoked), {"abc", "fed"})
        with self.ledger() as ledger:
            self.assertEqual({each.serial for each in ledger.certificates() if each.revoked_at}, {"abc", "fed"})
