"""What an operator may say about quotas and the webhook."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.accounting import AccountingConfig, read_amount, url
from morphnet.config.file import loads
from morphnet.config.roles import ServerConfig
from morphnet.errors import ConfigError


def accounting(text: str) -> AccountingConfig:
    return loads(ServerConfig, f'name = "gw"\n[accounting]\n{text}', Path("server.toml")).accounting


class AccountingConfigTests(SynchronousTestCase):
    def test_amounts(self) -> None:
        """Thousands, as traffic is sold; nothing else."""
        said = {"0": 0, "5": 5, "2k": 2000, "100G": 10**11, "1T": 10**12, " 3M ": 3 * 10**6}
        for text, octets in said.items():
            self.assertEqual(read_amount(text), octets, text)
        for text in ("", "G", "1.5G", "-1", "1Gi", "9" * 16, "999999999999999T", "\u0665"):
            self.assertIsNone(read_amount(text), text)

    def test_limits(self) -> None:
        """A user's own comes before the one for all, and may be none."""
        config = accounting('quota = "1G"\nquotas = ["phone=5M", "nas=", "old:a=b=7"]')
        told = [config.limit_of(name) for name in ("laptop", "phone", "nas", "old:a=b")]
        self.assertEqual(told, [10**9, 5 * 10**6, None, 7])
        self.assertIsNone(accounting("").limit_of("laptop"))

    def test_secrets(self) -> None:
        """A token or a key goes by https, or stays on this machine."""
        for secret in ("webhook_key = true", 'webhook_token_file = "/etc/token"'):
            for place in ("http://billing.example", "http://127.0.0.1.example/", "http://localhost.example:80/"):
                self.assertRaises(ConfigError, accounting, f'webhook = "{place}"\n{secret}')
                self.assertEqual(accounting(f'webhook = "{place}"').webhook, place)
            for place in ("https://billing.example/", "http://127.0.0.1:8080/x", "http://localhost", "http://[::1]:80"):
                self.assertEqual(accounting(f'webhook = "{place}"\n{secret}').webhook, place)

    def test_mistakes(self) -> None:
        """Each is one sentence."""
        for text in (
            'quota = "much"',
            'quotas = ["laptop"]',
            'quotas = ["=5"]',
            'quotas = ["laptop=x"]',
            'webhook = "ftp://x/"',
            'webhook = "https://"',
            'webhook = "https://user:pass@x/"',
            'webhook = "https://x/?a=b"',
            'webhook = "https://x/\\u00fc"',
            'webhook_token_file = "token"',
            "webhook_every_s = 0",
        ):
            self.assertRaises(ConfigError, accounting, text)
        for good in ("", "http://127.0.0.1:8080", "https://[2001:db8::1]/a/b/"):
            self.assertIsNone(url(good), good)
        self.assertIsNotNone(url("https://x:99999/"))
        self.assertIsNotNone(url("https://x/" + "a" * 1000))
