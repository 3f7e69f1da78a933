"""What may stand in a line."""

from __future__ import annotations

import ipaddress
import socket

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.text import is_machine, is_number, printable, same_name


class PrintableTests(SynchronousTestCase):
    def test_as_it_is(self) -> None:
        """What people write stays as it is."""
        for each in ("", "nas is reached directly", "Zürich, 5 €, 東京"):
            self.assertEqual(printable(each), each)

    def test_steering(self) -> None:
        """Nothing that steers a terminal, in 7 or 8 bits, begins another line, hides or turns round text is left."""
        for each in "\x00\x07\x08\t\n\r\x1b\x7f\x9b\x9d\xad\u200b\u202e\u2028\u2066\ufeff\ud800":
            self.assertEqual(printable(f"a{each}b"), "a?b")

    @given(st.text())
    def test_any(self, text: str) -> None:
        """Of whatever is printed no terminal sequence is left, its length is the same, and twice is once."""
        once = printable(text)
        self.assertTrue(once.isprintable())
        self.assertEqual((len(once), printable(once)), (len(text), once))
        once.encode()  # no surrogates: it can be written


class NameTests(SynchronousTestCase):
    def test_machine(self) -> None:
        """A machine shows itself by a name; a number without a dot has always been one."""
        for each in ("bert", "pi-4", "anna.example", "42", "a" * 63):
            self.assertTrue(is_machine(each), each)
        for each in (
            "",
            "10.73.0.3",
            "fd73::3",
            "1.2",
            "0x7f",
            "Bert",
            "a/b",
            "../x",
            "a\n",
            "\x1b[m",
            "a" * 64,
            "ü",
            "a_b",
        ):
            self.assertFalse(is_machine(each), each)

    @given(st.from_regex(r"[0-9a-fx.]{1,18}", fullmatch=True))
    def test_every_address(self, text: str) -> None:
        """Whatever the C library or Python take for an IPv4 address is a number."""
        if not text.isascii():
            return
        try:
            socket.inet_aton(text)
        except OSError:
            return
        self.assertTrue(is_number(text), text)

    @given(st.ip_addresses())
    def test_no_address(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
        """No machine shows itself as an address."""
        self.assertFalse(is_machine(str(address)))

    def test_same_name(self) -> None:
        """Names are compared whole, and any text may be compared."""
        self.assertTrue(same_name("laptop", "laptop"))
        self.assertFalse(same_name("laptop", "laptoP"))
        self.assertFalse(same_name("läptop", "laptop"))
