"""Split domains, as an operator writes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.file import loads
from morphnet.config.names import by_domain
from morphnet.config.roles import ClientConfig, ServerConfig
from morphnet.errors import ConfigError
from morphnet.wire.messages.control import decode, encode
from tests.wire.messages.test_control import WELCOME

PLACE = Path("server.toml")


class NamesConfigTests(SynchronousTestCase):
    def domains(self, text: str) -> dict[str, tuple[str, ...]]:
        return by_domain(loads(ServerConfig, f'name = "gw"\n{text}', PLACE).names.domains)

    def test_forms(self) -> None:
        """As a list or as a table, one resolver or several, in any letters."""
        found = {"corp.example": ("10.0.0.53", "fd00::53")}
        self.assertEqual(self.domains('names.domains = ["Corp.Example.=10.0.0.53", "corp.example=fd00::53"]'), found)
        self.assertEqual(self.domains('[names.domains]\n"corp.example" = ["10.0.0.53", "fd00::53"]'), found)
        self.assertEqual(self.domains('[names.domains]\nlan = "10.0.0.53"'), {"lan": ("10.0.0.53",)})

    def test_wrong(self) -> None:
        """The network's own domain, what is none, and a resolver by name are refused in a sentence."""
        for entry in (
            "morph=10.0.0.53",
            "x.morph=10.0.0.53",
            "a b=10.0.0.53",
            "corp.example=dns",
            "corp.example",
            "=::1",
        ):
            with self.assertRaisesRegex(ConfigError, "must hold entries like corp.example=10.0.0.53"):
                self.domains(f'names.domains = ["{entry}"]')
        many = ", ".join(f'"d{number}.example=10.0.0.1"' for number in range(33))
        with self.assertRaisesRegex(ConfigError, "at most 32 domains"):
            self.domains(f"names.domains = [{many}]")
        with self.assertRaisesRegex(ConfigError, "more than 3 resolvers for x"):
            self.domains('[names.domains]\nx = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]')

    def test_told(self) -> None:
        """What a gateway could not tell its clients is refused: nobody could join it else."""
        many = [f"192.0.2.{number}" for number in range(17)]
        for setting in (f"dns = {many}", f"relays = {many}", 'relays = ["büro.example"]', 'relays = ["a b"]'):
            with self.assertRaises(ConfigError):
                loads(ServerConfig, f'name = "gw"\n{setting}', PLACE)
        relays = ("r_1.example:443", "[2001:db8::1]:443")
        zone, longest = "0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", ".".join(["a"] * 127)
        text = (
            f'dns = {many[:16]}\nrelays = {list(relays)}\nnames.domains = ["{zone}=10.0.0.53", "{longest}=10.0.0.53"]'
        )
        config = loads(ServerConfig, f'name = "gw"\n{text}', PLACE)
        welcome = replace(WELCOME, dns=config.dns, relays=config.relays, domains=(*by_domain(config.names.domains),))
        self.assertEqual(decode(encode(welcome)[4:]), welcome)

    def test_client(self) -> None:
        """A client names domains, or all."""
        for good in ("corp.example", "*", "_tcp.lan"):
            config = loads(ClientConfig, f'name = "x"\nserver = "gw"\n[names]\ndomains = ["{good}"]', PLACE)
            self.assertEqual(config.names.domains, (good,))
        with self.assertRaisesRegex(ConfigError, "must hold domains"):
            loads(ClientConfig, 'name = "x"\nserver = "gw"\n[names]\ndomains = ["morph"]', PLACE)
