"""`morphnet backup` and `morphnet restore`: everything comes back, nothing is lost, and no revocation goes back."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from cryptography import x509

from morphnet.cli.backup import _LOCKS
from morphnet.cli.layout import Place
from morphnet.pki.book import JOIN, REVOKE, Book, Entry, signer_directory
from morphnet.pki.files import load_authority
from morphnet.pki.revocations import as_text
from morphnet.store.base import CertificateRecord
from morphnet.store.ledger import Ledger
from tests.cli.case import CommandCase

POOL4 = "10.73.0.0/24"
NOW = 1_800_000_000  # Unix seconds


class BackupTests(CommandCase):
    def setUp(self) -> None:
        """A network with a laptop that was let in and a phone that was revoked, and a backup of it."""
        super().setUp()
        self.init()
        with self.ledger() as ledger:
            ledger.lease("laptop", POOL4, "", b"l" * 16)
            for serial, name in (("a1", "laptop"), ("b2", "phone")):
                ledger.add_certificate(CertificateRecord(serial, name, "client", 1 << 32))
            ledger.revoke("phone", NOW)
        self.state = self.place.state_dir
        with Book(signer_directory(self.state)).opened() as entries:
            entries.add(Entry(NOW, JOIN, "laptop", "a1", "c3", ("10.73.0.2", "fd73::2")))
            entries.add(Entry(NOW, JOIN, "phone", "b2", "c4", ("10.73.0.3",)))
            entries.add(Entry(NOW, REVOKE, "phone", "b2"))
        self._sign(1.0, "b2")
        self.file = Path(self.mktemp())
        self.good("backup", str(self.file))

    def _sign(self, at: float, *serials: str) -> bytes:
        text = as_text(load_authority(self.place.pki_dir).revocations(serials, now=at)).encode()
        (self.state / "revocations.pem").write_bytes(text)
        (self.state / "revocations.pem").chmod(0o644)
        return text

    def _content(self, place: Place | None = None) -> dict[str, bytes]:
        """Everything but the database, whose bytes may differ."""
        root = (place or self.place).root
        files = (each for each in root.rglob("*") if each.is_file() and not each.name.startswith("morphnet.db"))
        return {str(each.relative_to(root)): each.read_bytes() for each in files}

    def _records(self, place: Place | None = None) -> tuple[object, object]:
        ledger = Ledger.of_network((place or self.place).state_dir / "morphnet.db")
        try:
            return ledger.certificates(), ledger.leases()
        finally:
            ledger.close()

    def test_back(self) -> None:
        """All of it is lost: all of it comes back, with the same modes, keys and records closed to others."""
        content, records, modes = self._content(), self._records(), self.modes()
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)
        shutil.rmtree(self.place.root)
        self.good("restore", str(self.file))
        self.assertEqual((self._content(), self._records(), self.modes()), (content, records, modes))
        self.good("invite", "tablet")

    def test_while_open(self) -> None:
        """The records are as they are at that moment, though another has them open and has just written."""
        file = Path(self.mktemp())
        running = self._open_elsewhere()
        self.good("backup", str(file))
        running()
        before = self._records()
        shutil.rmtree(self.state)
        self.good("restore", str(file))
        self.assertEqual(self._records(), before)

    def _open_elsewhere(self) -> Callable[[], None]:
        """A process that has the database open, wrote to it, and does not close it until told."""
        reading, writing = os.pipe()
        ready, said = os.pipe()
        child = os.fork()
        if not child:
            ledger = Ledger(self.state / "morphnet.db")
            ledger.lease("late", POOL4, "", b"x" * 16)
            os.close(writing)
            os.write(said, b".")
            os.read(reading, 1)
            os._exit(0)
        os.close(reading)
        os.read(ready, 1)

        def end() -> None:
            os.close(writing)
            os.waitpid(child, 0)

        return end

    def test_elsewhere(self) -> None:
        """On another machine in another directory its configuration names that directory, and not the old one."""
        there = Place(Path(self.mktemp()).absolute())
        self.good("restore", str(self.file), place=there)
        self.assertEqual(self._records(there), self._records())
        old = str(self.place.root)
        for path in (there.server_toml, there.relay_toml):
            self.assertNotIn(old, path.read_text())
        self.good("invite", "tablet", place=there)
        self.assertEqual(self.run_command("pki", "list", place=there).exit_code, 0)

    def test_nothing_is_lost(self) -> None:
        """What is there and other than in the backup stays, until one says that it may go; so does the backup."""
        self.assertIn("is there already", self.bad("backup", str(self.file)))
        self.good("backup", str(self.file), "--replace")
        self.good("restore", str(self.file))  # all the same: nothing to lose
        self.good("invite", "tablet")
        before = self._records()
        self.assertIn("morphnet.db is there", self.bad("restore", str(self.file)))
        self.place.server_toml.write_text(self.place.server_toml.read_text() + "\n# mine\n")
        self.assertIn("server.toml is there", self.bad("restore", str(self.file)))
        self.assertEqual(self._records(), before)
        self.good("restore", str(self.file), "--replace")
        self.assertNotEqual(self._records(), before)
        self.assertNotIn("# mine", self.place.server_toml.read_text())

    def test_lost_records(self) -> None:
        """A database that is gone or empty is in nobody's way; a damaged one is replaced when one says so."""
        records, database = self._records(), self.state / "morphnet.db"
        for content in (None, b""):
            database.unlink()
            if content is not None:
                database.write_bytes(content)
            self.assertIn("morphnet restore FILE", self.bad("pki", "list"))
            self.assertIn("morphnet restore FILE", self.bad("backup", str(self.mktemp())))
            self.good("restore", str(self.file))
            self.assertEqual(self._records(), records)
        database.write_bytes(b"rubbish" * 1000)
        self.assertIn("is damaged", self.bad("pki", "list"))
        self.bad("restore", str(self.file))
        self.good("restore", str(self.file), "--replace")
        self.assertEqual(self._records(), records)

    def test_no_way_back(self) -> None:
        """A list that is later than that of the backup stays, as does a longer book; an earlier or spoilt one goes."""
        list_, book = self.state / "revocations.pem", signer_directory(self.state) / "book"
        in_backup = list_.read_bytes()
        later = self._sign(2.0, "b2", "a1")
        with Book(book.parent).opened() as entries:
            entries.add(Entry(NOW, REVOKE, "laptop", "a1"))
        long = book.read_bytes()
        self.good("restore", str(self.file), "--replace")
        self.assertEqual((list_.read_bytes(), book.read_bytes()), (later, long))
        for spoilt in (self._sign(0.5), b"rubbish"):
            list_.write_bytes(spoilt)
            book.write_bytes(long[:20])
            self.good("restore", str(self.file), "--replace")
            self.assertEqual(list_.read_bytes(), in_backup)
            self.assertTrue(long.startswith(book.read_bytes()))
            self.assertGreater(len(book.read_bytes()), 20)

    def test_while_running(self) -> None:
        """While a server or a relay runs nothing is put back."""
        for name in _LOCKS:
            path = self.state / name
            with path.open("w") as held:
                fcntl.flock(held, fcntl.LOCK_EX)
                self.assertIn("stop it first", self.bad("restore", str(self.file), "--replace"))
                self.assertIn("stop it first", self.bad("restore", "--from-book", "--replace"))
        self.good("restore", str(self.file), "--replace")

    def test_from_book(self) -> None:
        """Without a backup the CA's book says who there is, where, and who was revoked."""
        (self.state / "morphnet.db").write_bytes(b"")
        self.assertIn("2 machines", self.good("restore", "--from-book").stdout)
        certificates, leases = self._records()
        assert isinstance(certificates, list) and isinstance(leases, list)
        self.assertEqual(
            [(each.name, each.kind, each.serial, each.revoked_at) for each in certificates][1:],
            [("laptop", "client", "a1", 0), ("phone", "client", "b2", NOW)],
        )
        own = x509.load_pem_x509_certificate((self.place.pki_dir / "gw.pem").read_bytes())
        self.assertEqual((certificates[0].name, certificates[0].serial), ("gw", format(own.serial_number, "x")))
        self.assertEqual(
            [(each.name, each.inner4, each.inner6) for each in leases],
            [("laptop", "10.73.0.2", "fd73::2"), ("phone", "10.73.0.3", "")],
        )
        self.assertIn("--replace", self.bad("restore", "--from-book"))
        self.good("restore", "--from-book", "--replace")

    def test_asked_wrongly(self) -> None:
        """One of the two ways, and no third."""
        self.assertIn("--from-book", self.bad("restore"))
        self.assertIn("--from-book", self.bad("restore", str(self.file), "--from-book"))
