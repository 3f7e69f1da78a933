"""What an operator may say about what is carried."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.carry import MOST, Place, carry_number, entries_wrong, entry, service, services_wrong
from morphnet.config.file import load, loads, render
from morphnet.config.roles import ClientConfig, ServerConfig
from morphnet.errors import ConfigError

HERE = Path("client.toml")
ENTRY, SERVICE = "127.0.0.1:51821=wireguard", "wireguard=127.0.0.1:51820"


def client(text: str) -> ClientConfig:
    return loads(ClientConfig, f'server = "gw.example"\n{text}', HERE)


class CarryTests(SynchronousTestCase):
    def test_ways_to_say_it(self) -> None:
        """A list of strings, one table, several tables and the command line come to the same."""
        one = '[carry]\nlisten = "127.0.0.1:51821"\nto = "wireguard"\n'
        other = '[[carry]]\nlisten = "[::1]:53"\nto = "dns"\n'
        self.assertEqual(client(f'carry = ["{ENTRY}"]').carry, (ENTRY,))
        self.assertEqual(client(one).carry, (ENTRY,))
        self.assertEqual(client(one.replace("[carry]", "[[carry]]") + other).carry, (ENTRY, "[::1]:53=dns"))
        self.assertEqual(load(ClientConfig, None, {"server": "gw", "carry": ENTRY}).carry, (ENTRY,))

    def test_services(self) -> None:
        """The same for a server."""
        for text in (f'[carry]\nservices = ["{SERVICE}"]', '[carry.services]\nwireguard = "127.0.0.1:51820"'):
            self.assertEqual(loads(ServerConfig, f'name = "gw"\n{text}', HERE).carry.services, (SERVICE,))

    def test_places(self) -> None:
        """Both are read as name, address and port; IPv6 has brackets."""
        self.assertEqual(entry(ENTRY), Place("wireguard", "127.0.0.1", 51821))
        self.assertEqual(service("dns=[fd00::1]:53"), Place("dns", "fd00::1", 53))
        self.assertEqual(service("dns=[fd00::1]:53").shown, "[fd00::1]:53")

    def test_rendered(self) -> None:
        """What `render` writes is read as it was."""
        text = render(ClientConfig, {"server": "gw.example", "carry": (ENTRY,)})
        self.assertEqual(loads(ClientConfig, text, HERE).carry, (ENTRY,))

    def test_mistakes(self) -> None:
        """One sentence for each, which names the line."""
        tables = {
            '[carry]\nlisten = "127.0.0.1:1"\n': "list of strings",
            '[carry]\nlisten = "127.0.0.1:1"\nto = "x"\nvia = "y"\n': "list of strings",
            'carry = ["127.0.0.1=x"]': "entries like",
            'carry = ["localhost:1=x"]': "numeric address",
            'carry = ["0.0.0.0:1=x"]': "one address",
            'carry = ["127.0.0.1:1=X y"]': "entries like",
            'carry = ["127.0.0.1:70000=x"]': "entries like",
            'carry = ["127.0.0.1:1=x", "127.0.0.1:1=y"]': "twice",
            "carry = [1]": "list of strings",
        }
        for text, said in tables.items():
            with self.assertRaisesRegex(ConfigError, f"client.toml, line 2: 'carry'.*{said}"):
                client(text)
        self.assertIn("one name twice", services_wrong((SERVICE, SERVICE)) or "")
        self.assertIn("at most", entries_wrong(tuple(f"127.0.0.1:{port}=x" for port in range(1, MOST + 2))) or "")

    def test_collision(self) -> None:
        """Two names that would be one in datagrams are refused."""
        seen: dict[int, str] = {}
        for number in range(2000):
            name = f"n{number}"
            if (other := seen.setdefault(carry_number(name), name)) != name:
                break
        wrong = services_wrong((f"{name}=127.0.0.1:1", f"{other}=127.0.0.1:2"))
        self.assertIn("look alike", wrong or "")

    def test_without_tun(self) -> None:
        """No device is a choice for who carries something, and for nothing that needs the device."""
        self.assertEqual(client(f'tun = ""\ncarry = ["{ENTRY}"]').tun, "")
        for text, said in (
            ('tun = ""', "nothing would be carried"),
            (f'tun = ""\nstrict = true\ncarry = ["{ENTRY}"]', "'strict' needs"),
            (f'tun = ""\ncarry = ["{ENTRY}"]\n[mesh]\nrelays = ["r"]', "peers need"),
        ):
            with self.assertRaisesRegex(ConfigError, said):
                client(text)

    @given(st.text(max_size=80))
    def test_anything(self, text: str) -> None:
        """Whatever is written there: a place, or the declared error."""
        for read in (entry, service):
            try:
                self.assertIn(read(text).port, range(1, 65536))
            except ConfigError:
                pass
