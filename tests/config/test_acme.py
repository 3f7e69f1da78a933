"""Settings of ACME."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.file import loads
from morphnet.config.home import CoordinatorConfig
from morphnet.errors import ConfigError

GOOD = 'names = ["home.example.org"]\nterms_agreed = true\n'


class AcmeConfigTests(SynchronousTestCase):
    def read(self, acme: str, before: str = "") -> CoordinatorConfig:
        return loads(CoordinatorConfig, f"{before}[acme]\n{acme}", Path("coordinator.toml"))

    def test_good(self) -> None:
        """Names and a yes to the terms are all that is needed."""
        config = self.read(GOOD)
        self.assertEqual(config.acme.names, ("home.example.org",))
        self.assertIn("letsencrypt", config.acme.directory)

    def test_mistakes(self) -> None:
        """Each is one sentence that says what to write, and where the wrong one stands."""
        for acme, before, word in (
            ('names = ["*.example.org"]', "", "DNS names"),
            ('names = ["192.0.2.1"]', "", "DNS names"),
            ('names = ["router"]', "", "DNS names"),
            (f"names = {[f'a{i}.example.org' for i in range(21)]}", "", "20 names at most"),
            (GOOD + 'email = "anna"', "", "e-mail"),
            (GOOD + 'directory = "http://ca.example"', "", "https://"),
            ('names = ["home.example.org"]', "", "terms_agreed = true"),
            (GOOD, "plain = true\n", "'plain'"),
            (GOOD, 'certificate = "c.pem"\nkey = "k.pem"\n', "'certificate'"),
            (GOOD, 'redis_url = "redis://127.0.0.1"\n', "'redis_url'"),
            (GOOD + "port = 443", "", "two ports"),
        ):
            trouble = self.assertRaises(ConfigError, self.read, acme, before)
            self.assertIn(word, str(trouble))
            self.assertIn("coordinator.toml, line", str(trouble))
