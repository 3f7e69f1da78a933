"""The command lines of `twistd morph-...`."""

from __future__ import annotations

from pathlib import Path

from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import ClientConfig, ServerConfig
from morphnet.tap.options import ConfigOptions, options_for

ABSENT = Path("/nowhere/client.toml")


class OptionsTests(SynchronousTestCase):
    def _parse(self, *words: str) -> ConfigOptions[ClientConfig]:
        options = options_for(ClientConfig, ABSENT)()
        options.parseOptions(list(words))
        return options

    def test_settings(self) -> None:
        """Each setting has its option: nested ones, lists, and both ways of a flag."""
        config = self._parse(
            "--server", "x", "--tun", "y", "--scheduler", "flow", "--no-dns", "--routes", "10.0.0.0/8,default",
            "--no-manhole",
        ).config  # fmt: skip
        self.assertEqual((config.server, config.tun, config.tuning.scheduler), ("x", "y", "flow"))
        self.assertEqual((config.dns, config.mss_clamp, config.manhole.enabled), (False, True, False))
        self.assertEqual(config.routes, ("10.0.0.0/8", "default"))

    def test_default_file(self) -> None:
        """The default file may be absent; one that was named may not."""
        self.assertEqual(self._parse("--server", "x").config, ClientConfig(server="x"))
        sentence = str(self.assertRaises(SystemExit, self._parse, "--server", "x", "--config", str(ABSENT)))
        self.assertEqual(sentence, f"morphnet: {ABSENT}: no such file or directory")

    def test_mistakes(self) -> None:
        """A mistake is one sentence; an unknown option is a usage error."""
        self.assertIn("'server' is missing", str(self.assertRaises(SystemExit, self._parse)))
        both = self.assertRaises(SystemExit, self._parse, "--server", "x", "--dns", "--no-dns")
        self.assertEqual(str(both), "morphnet: --dns and --no-dns contradict each other")
        self.assertRaises(usage.UsageError, self._parse, "--servr", "x")

    def test_help(self) -> None:
        """Every option says what it is for, and its default."""
        text = str(options_for(ServerConfig, Path("/etc/morphnet/server.toml"))())
        self.assertIn("[/etc/morphnet/server.toml]", "".join(text.split()))
        self.assertIn("--control-port=", text)
        self.assertIn("[8443]", text)
