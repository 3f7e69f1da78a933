"""The CA's book: what it says must be there after a crash, and be true for every process."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import HostError
from morphnet.pki.book import FILE, JOIN, RELEASE, RENEW, REVOKE, Book, Entry, signer_directory

JOINED = Entry(1800000000, JOIN, "laptop", "0a", "77", ("10.73.0.2", "fd73::2"))
RENEWED = Entry(1820000000, RENEW, "laptop", "0b", "0a")
REVOKED = Entry(1820000001, REVOKE, "laptop", "0b")


class BookTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.path = self.directory / FILE

    def _write(self, book: Book, *entries: Entry) -> None:
        with book.opened() as open_book:
            for each in entries:
                open_book.add(each)

    def _read(self, book: Book | None = None) -> Book:
        book = book or Book(self.directory)
        with book.opened():
            return book

    def test_read_again(self) -> None:
        """What one process has written another one reads, and the first reads on."""
        first = Book(self.directory)
        self._write(first, JOINED)
        self._write(Book(self.directory), RENEWED, REVOKED)
        for book in (self._read(), self._read(first)):
            self.assertEqual(book.signed, {"0a": JOINED, "0b": RENEWED})
            self.assertEqual(dict(book.signed_for), {"77": [JOINED], "0a": [RENEWED]})
            self.assertEqual(book.revoked, {"0b": 1820000001})
            self.assertEqual(book.holders, {"10.73.0.2": "laptop", "fd73::2": "laptop"})

    def test_release(self) -> None:
        """The addresses of a name that was released are nobody's."""
        self._write(Book(self.directory), JOINED, Entry(1, RELEASE, "laptop"))
        self.assertEqual(self._read().holders, {})

    def test_private(self) -> None:
        """The file and its directory are of their owner alone."""
        self._write(Book(self.directory), JOINED)
        self.assertEqual([each.stat().st_mode & 0o777 for each in (self.directory, self.path)], [0o700, 0o600])

    def test_cut_line(self) -> None:
        """A line that a crash has cut goes, and the next one is whole."""
        self._write(Book(self.directory), JOINED)
        whole = self.path.read_bytes()
        for length in range(1, len(whole)):
            self.path.write_bytes(whole + whole[:length])
            self.assertEqual(self._read().signed, {"0a": JOINED})
            self._write(Book(self.directory), RENEWED)
            self.assertEqual(self._read().signed, {"0a": JOINED, "0b": RENEWED})

    def test_rubbish(self) -> None:
        """Lines that are none of ours say nothing; the others count."""
        self._write(Book(self.directory), JOINED)
        whole = self.path.read_bytes()
        for rubbish in (b"", b"\xff\xfe", b"1 join", b"x join a b c d", b"1 burn a b c d", b" " * 4096):
            rubbish += b"\n"
            self.path.write_bytes(rubbish + whole + rubbish)
            self.assertEqual(self._read().signed, {"0a": JOINED})

    def test_replaced(self) -> None:
        """A book that is shorter than what was read is another one."""
        book = Book(self.directory)
        self._write(book, JOINED, RENEWED)
        self.path.write_bytes(b"")
        self.assertEqual(self._read(book).signed, {})

    def test_link(self) -> None:
        """A symbolic link is not followed."""
        self.directory.mkdir()
        self.path.symlink_to(self.directory / "elsewhere")
        self.assertRaises(HostError, self._write, Book(self.directory), JOINED)
        self.assertFalse((self.directory / "elsewhere").exists())

    def test_where(self) -> None:
        """The book is beside the directory of the process that listens, if there is such a place; else in it."""
        state_dir = self.directory / "morphnet"
        self.assertEqual(signer_directory(state_dir), state_dir / "signer")
        apart = self.directory / "morphnet-signer"
        apart.mkdir(parents=True)
        self.assertEqual(signer_directory(state_dir), apart)
