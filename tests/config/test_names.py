"""Split domains, as an operator writes them."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.file import loads
from morphnet.config.names import by_domain
from morphnet.config.roles import ClientConfig, ServerConfig
from morphnet.errors import ConfigError

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

    def test_client(self) -> None:
        """A client names domains, or all."""
        for good in ("corp.example", "*", "_tcp.lan"):
            config = loads(ClientConfig, f'name = "x"\nserver = "gw"\n[names]\ndomains = ["{good}"]', PLACE)
            self.assertEqual(config.names.domains, (good,))
        with self.assertRaisesRegex(ConfigError, "must hold domains"):
            loads(ClientConfig, 'name = "x"\nserver = "gw"\n[names]\ndomains = ["morph"]', PLACE)
