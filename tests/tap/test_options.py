"""The command lines of `twistd morph-...`."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

from twisted.scripts._twistd_unix import ServerOptions
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import ClientConfig, ServerConfig
from morphnet.tap import client, relay, server
from morphnet.tap.options import Begin, ConfigOptions, options_for

ABSENT = Path("/nowhere/client.toml")
BEGIN = Begin(("server", "servers"), "run this first")
COMMANDS = ("morph-client", "morph-relay", "morph-server")


def refused(test: SynchronousTestCase, what: Callable[..., object], *words: object) -> str:
    """What is on stderr, and nothing else, when it ends with the code that a unit of systemd's knows."""
    with redirect_stderr(StringIO()) as said:
        ended = test.assertRaises(SystemExit, what, *words)
    test.assertEqual(ended.code, os.EX_CONFIG)
    return said.getvalue().removesuffix("\n")


class OptionsTests(SynchronousTestCase):
    def _parse(self, *words: str) -> ConfigOptions[ClientConfig]:
        options = options_for(ClientConfig, ABSENT, BEGIN)()
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
        """The default file may be absent; one that was named may not: the default one, with how to begin."""
        self.assertEqual(self._parse("--server", "x").config, ClientConfig(server="x"))
        sentence = refused(self, self._parse, "--server", "x", "--config", str(ABSENT))
        self.assertEqual(sentence, f"morphnet: there is no {ABSENT}: run this first")
        other = ABSENT.with_name("other.toml")
        sentence = refused(self, self._parse, "--server", "x", "--config", str(other))
        self.assertEqual(sentence, f"morphnet: {other}: no such file or directory")

    def test_mistakes(self) -> None:
        """A mistake is one sentence."""
        missing = refused(self, self._parse, "--server", "")
        self.assertIn("'server' is missing", missing)
        both = refused(self, self._parse, "--server", "x", "--dns", "--no-dns")
        self.assertEqual(both, "morphnet: --dns and --no-dns contradict each other")

    def test_closed(self) -> None:
        """What the system says of the default file, for instance that we may not look there, is one sentence."""
        long = Path("/") / f"{'x' * 300}.toml"
        said = refused(self, options_for(ClientConfig, long, BEGIN)().parseOptions, ["--server", "x"])
        self.assertEqual(said, f"morphnet: {long}: file name too long")

    def test_not_begun(self) -> None:
        """Who has no configuration and types none is told how to come by one, before anything else."""
        sentence = refused(self, self._parse, "--tun", "x")
        self.assertEqual(sentence, f"morphnet: there is no {ABSENT}: run this first")

    def test_help(self) -> None:
        """Every option says what it is for, and its default."""
        text = str(options_for(ServerConfig, Path("/etc/morphnet/server.toml"), BEGIN)())
        self.assertIn("[/etc/morphnet/server.toml]", "".join(text.split()))
        self.assertIn("--control-port=", text)
        self.assertIn("[8443]", text)


class TwistdTests(SynchronousTestCase):
    """The commands as twistd runs them."""

    def _refused(self, *words: str) -> str:
        """With what twistd ends."""
        return refused(self, ServerOptions().parseOptions, ["--nodaemon", *words])

    def test_mistakes(self) -> None:
        """Whatever is wrong on the command line is one line, without the list of all options."""
        folder = str(Path(self.mktemp()).absolute())
        Path(folder).mkdir()
        mistakes = {
            ("--nonsense", "x"): "morphnet: option --nonsense not recognized: see `twistd {} --help`",
            ("-x",): "morphnet: option -x not recognized: see `twistd {} --help`",
            ("--name",): "morphnet: option --name requires argument: see `twistd {} --help`",
            ("--log-json=3",): "morphnet: option --log-json must not have an argument: see `twistd {} --help`",
            ("stray",): "morphnet: Wrong number of arguments: see `twistd {} --help`",
            ("--config", "/nowhere/x.toml"): "morphnet: /nowhere/x.toml: no such file or directory",
            ("--config", folder): f"morphnet: {folder}: is a directory",
            ("--name", "x", "--manhole-listen", "everywhere"): "morphnet: option --manhole-listen must be ",
        }
        for command in COMMANDS:
            more = ("--server", "x") if command == "morph-client" else ()
            for words, sentence in mistakes.items():
                said = self._refused(command, *more, *words)
                self.assertTrue(said.startswith(sentence.format(command)), said)
                self.assertEqual(len(said.splitlines()), 1)

    def test_places(self) -> None:
        """So is a file or directory of twistd's own that it cannot use."""
        said = refused(self, ServerOptions().parseOptions,
                       ["--nodaemon", "--pidfile", "/nowhere/x", "morph-client", "--server", "x"])  # fmt: skip
        self.assertEqual(said, "morphnet: --pidfile: /nowhere/x cannot be written: there is no directory /nowhere")

    def test_help(self) -> None:
        """At 80 columns no line about an option is cut: all its words are there, and it has some."""
        for command, plugin in zip(COMMANDS, (client, relay, server), strict=True):
            options = plugin.Options()
            shown = options.getUsage(80)
            self.assertLessEqual(max(map(len, shown.splitlines())), 80)
            flat = "".join(shown.split())
            said = [*((name, text) for name, _, text in options.optFlags)]
            said += [(name, text) for name, _, _, text in options.optParameters]
            for name, text in said:
                self.assertTrue(text and not text.endswith(("...", "…")), (command, name))
                self.assertIn("".join(text.split()), flat, (command, name))
