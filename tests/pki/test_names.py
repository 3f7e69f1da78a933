"""Names of machines and addresses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError
from morphnet.pki.names import checked_host, checked_name, join_address, split_address


class NameTests(SynchronousTestCase):
    def test_good(self) -> None:
        """Letters, digits, hyphens and dots make a name; capitals become small."""
        self.assertEqual([checked_name(each) for each in ("laptop", "Pi-4", "a.b.c")], ["laptop", "pi-4", "a.b.c"])

    def test_bad(self) -> None:
        """What could leave its directory, confuse a terminal, or clash with our own files is no name."""
        for each in (
            "",
            ".",
            "..",
            "a/b",
            "../x",
            "a b",
            "-a",
            "a-",
            "a..b",
            "ü",
            "x" * 64,
            "ca",
            "server",
            "\x1b[2J",
        ):
            self.assertRaises(ConfigError, checked_name, each)

    def test_like_an_address(self) -> None:
        """What some program takes for an address is no name, and the sentence says so; a number in front is one."""
        for each in ("10.73.0.3", "192.168.1", "127.1", "42", "2130706433", "a.0x7f", "0x7f000001", "nas.1", "0X1f"):
            told = str(self.assertRaises(ConfigError, checked_name, each))
            self.assertIn("taken for an address", told)
        for each in ("4you", "10.73.0.3a", "1.nas", "x0", "0xnas", "a1"):
            self.assertEqual(checked_name(each), each)

    def test_occupied(self) -> None:
        """What means something on every machine, or is looked up by programs unasked, is no machine's name."""
        for each in ("localhost", "nas.localhost", "localhost.localdomain", "wpad", "wpad.lan", "ISATAP"):
            self.assertIn("reserved", str(self.assertRaises(ConfigError, checked_name, each)))

    @given(st.text(max_size=70))
    def test_any(self, text: str) -> None:
        """Any text is a name or a ConfigError, and a name is safe as a file's name."""
        try:
            name = checked_name(text)
        except ConfigError:
            return
        self.assertRegex(name, r"\A[a-z0-9][a-z0-9.-]*\Z")
        self.assertNotIn("..", name)


class AddressTests(SynchronousTestCase):
    def test_split(self) -> None:
        """Each way to write an address."""
        for text, expected in (
            ("vpn.example.org", ("vpn.example.org", 8443)),
            ("vpn.example.org:1", ("vpn.example.org", 1)),
            ("192.0.2.1:65535", ("192.0.2.1", 65535)),
            ("2001:db8::1", ("2001:db8::1", 8443)),
            ("[2001:db8::1]", ("2001:db8::1", 8443)),
            ("[2001:DB8:0::1]:99", ("2001:db8::1", 99)),
        ):
            self.assertEqual(split_address(text, 8443), expected)

    def test_wrong(self) -> None:
        """What is none of them is a ConfigError."""
        for text in (
            "",
            ":",
            ":1",
            "a:",
            "a:0",
            "a:65536",
            "a:b",
            "300.1.1.1",
            "1.2.3",
            "[::1",
            "a b",
            "http://a",
            "[]:1",
        ):
            self.assertRaises(ConfigError, split_address, text, 8443)

    @given(st.one_of(st.ip_addresses().map(str), st.just("a.example")), st.integers(1, 65535))
    def test_round_trip(self, host: str, port: int) -> None:
        """What is joined comes apart again."""
        self.assertEqual(split_address(join_address(checked_host(host), port), 1), (host, port))
