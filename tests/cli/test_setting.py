"""`morphnet set`, as far as it needs no process."""

from __future__ import annotations

from typing import Any

from morphnet.cli import setting
from morphnet.cli.running import Role
from morphnet.config.file import load
from morphnet.config.roles import ClientConfig, ServerConfig
from morphnet.errors import HostError
from morphnet.ops import feedclient
from tests.cli.case import CommandCase


class SettingTests(CommandCase):
    def setUp(self) -> None:
        """:ivar answer: what the process says that runs here; None for no process."""
        super().setUp()
        self.init()
        self.answer: str | Exception | None = None
        self.patch(Role, "process", lambda role: 7 if self.answer is not None and role.name == "server" else 0)
        self.patch(feedclient, "ask", self.asked)

    def asked(self, feed: Any, request: dict[str, str]) -> dict[str, str]:
        """As the process that runs here."""
        self.assertEqual((feed, request), (self.place.run_dir / "feed.sock", {"ask": "reload"}))
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"done": self.answer or ""}

    def test_changed(self) -> None:
        """One line of the file is another, its mode stays, and the process says whether it is applied."""
        self.place.server_toml.chmod(0o640)
        before = self.place.server_toml.read_text().splitlines()
        self.answer = "tuning.scheduler: applied"
        said = self.good("set", "scheduler", "redundant").output
        self.assertEqual(
            said.splitlines(),
            [
                f'tuning.scheduler = "redundant" is in {self.place.server_toml}.',
                "The running server says: tuning.scheduler: applied.",
            ],
        )
        after = self.place.server_toml.read_text().splitlines()
        self.assertEqual(
            [(old, new) for old, new in zip(before, after, strict=True) if old != new],
            [('#scheduler = "bond"', 'scheduler = "redundant"')],
        )
        self.assertEqual(self.place.server_toml.stat().st_mode & 0o777, 0o640)
        self.assertEqual([each.name for each in self.place.root.glob(".*")], [])

    def test_link(self) -> None:
        """A configuration that is kept elsewhere stays there."""
        kept = self.place.root / "kept.toml"
        self.place.server_toml.rename(kept)
        self.place.server_toml.symlink_to(kept)
        self.good("set", "nat", "no")
        self.assertTrue(self.place.server_toml.is_symlink())
        self.assertFalse(load(ServerConfig, kept).nat)

    def test_does_not_run(self) -> None:
        """Without a process it is said when it applies."""
        self.assertIn("it applies with the next start", self.good("set", "max-sessions", "5").output)

    def test_overridden(self) -> None:
        """A process whose command line says another thing is not said to have it."""
        self.answer = "no setting has changed"
        self.assertIn("its command line says another", self.good("set", "nat", "no").output)

    def test_refused_by_process(self) -> None:
        """What the process refuses is said, and that it is in the file."""
        self.answer = HostError("no room")
        ended = self.run_command("set", "nat", "no")
        self.assertEqual(ended.exit_code, 1)
        self.assertIn("is in the file, but the running server did not take it: no room", ended.stderr)

    def test_mistakes(self) -> None:
        """What no process would take leaves the file as it was."""
        before = self.place.server_toml.read_bytes()
        for words, sentence in (
            (("scheduler", "redundnt"), "did you mean 'redundant'"),
            (("mtuu", "3"), "did you mean 'mtu'"),
            (("mtu", "900"), "at least 1280 with IPv6 inside"),
            (("manhole.listen", "x", "--role", "server"), "must be ADDRESS:PORT"),
            (("knock", "allow"), "say which by --role"),
        ):
            self.assertIn(sentence, self.bad("set", *words))
        self.assertEqual(self.place.server_toml.read_bytes(), before)

    def test_instead(self) -> None:
        """One server gives way to several, and they to one; what is in the file names one of both alone."""
        file = self.place.client_toml
        file.write_text('# mine\nserver = "gw.example"  # at home\n')
        said = self.good("set", "servers", "a.example,b.example:443").output
        self.assertIn(
            f'servers = ["a.example", "b.example:443"] is in {file}, in place of server = "gw.example".', said
        )
        self.assertEqual(load(ClientConfig, file).all_servers(), ("a.example", "b.example:443"))
        self.assertIn("# mine\n", file.read_text())
        self.good("set", "servers", "c.example")
        self.good("set", "server", "gw.example")
        self.assertEqual(load(ClientConfig, file).all_servers(), ("gw.example",))
        self.assertIn("'server' is missing", self.bad("set", "server", ""))

    def test_several(self) -> None:
        """Of two roles that have a setting the one that runs is meant, or who is named."""
        self.answer = "knock: restart the process to apply"
        self.assertIn(str(self.place.server_toml), self.good("set", "knock", "allow").output)
        self.assertIn(str(self.place.relay_toml), self.good("set", "knock", "allow", "--role", "relay").output)

    def test_list(self) -> None:
        """Alone it lists what can be set, with the present values, and marks what applies at once; no passwords."""
        self.good("set", "redis_url", "redis://:secret@there")
        said = self.good("set").output
        self.assertIn('\n* tuning.scheduler = "bond"\n', said)
        self.assertIn('\n  name = "gw"\n', said)
        self.assertIn('\n  redis_url = "..."\n', said)
        self.assertNotIn("secret", said)
        self.assertEqual(setting._live("relay"), frozenset())
        self.assertIn("bond, flow, redundant or best", self.good("set", "scheduler").output)
