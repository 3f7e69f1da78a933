"""The roles of a directory, and which of them runs."""

from __future__ import annotations

import fcntl
import os

from morphnet.cli import running
from morphnet.cli.layout import SYSTEM, Place
from morphnet.cli.running import Role, alone, names_here, role_here
from morphnet.config.roles import ClientConfig
from morphnet.errors import ConfigError, HostError
from tests.cli.case import CommandCase


class RunningTests(CommandCase):
    def role(self, name: str) -> Role:
        """One that is set up here."""
        return role_here(self.place, name)

    def serves(self, *command: str) -> None:
        """A process with that command line answers."""
        self.patch(running, "server_of", lambda path: 77)
        self.patch(running, "command_of", lambda process: list(command) if process == 77 else [])

    def test_here(self) -> None:
        """What is set up is known by its configuration; a mistake in it is told, unless it does not matter."""
        self.assertIn("has not joined a network", str(self.assertRaises(ConfigError, names_here, self.place)))
        self.init()
        self.assertEqual(names_here(self.place), ["server", "relay"])
        self.assertIn("is no client", str(self.assertRaises(ConfigError, role_here, self.place, "client")))
        self.role("relay").file.write_text("x")
        self.assertRaises(ConfigError, role_here, self.place, "relay")
        self.assertEqual(role_here(self.place, "relay", lenient=True).feed.parent, self.place.relay_run_dir)

    def test_without_a_network(self) -> None:
        """A machine that is only a home, or only a coordinator, has begun, and commands find it."""
        self.good("coordinator", "init", "--plain")
        self.assertEqual(names_here(self.place), ["coordinator"])
        self.assertEqual(self.place.running("feed.sock"), self.place.root / "run-coordinator/feed.sock")
        before = role_here(self.place, "coordinator")
        before.file.write_text("port = 0")
        config = role_here(self.place, "coordinator", lenient=True).config
        self.assertEqual((config.run_dir, config.state_dir), (before.config.run_dir, before.config.state_dir))

    def test_runs(self) -> None:
        """Who answers is taken for the role that its command line names: two may have one run_dir."""
        self.init()
        self.assertEqual(self.role("server").process(), 0)
        self.serves("python", "twistd", "-n", "morph-server")
        self.assertEqual([self.role(name).process() for name in ("server", "relay")], [77, 0])

    def test_number(self) -> None:
        """Of a process that does not answer, the file tells the number, if it is still one of ours."""
        self.init()
        server = self.role("server")
        server.config.run_dir.mkdir()
        server.pid_file.write_text("77\n")
        self.patch(running, "command_of", lambda process: ["twistd", "morph-server"])
        self.assertEqual(server.process(), 77)
        self.patch(running, "command_of", lambda process: ["another", "program"])
        self.assertEqual(server.process(), 0)

    def test_system(self) -> None:
        """What root writes for the machine's own roles lies in no directory of the service's user."""
        role = Role("client", Place(SYSTEM), ClientConfig())
        self.assertEqual([str(each) for each in (role.pid_file, role.log)],
                         ["/run/morph-client.pid", "/var/log/morph-client.log"])  # fmt: skip

    def test_alone(self) -> None:
        """Two commands do not meet, and nothing is left of it; one that takes too long is a sentence."""
        self.place.root.mkdir()
        with alone(self.place):
            pass
        other = os.open(self.place.root, os.O_RDONLY)
        self.addCleanup(os.close, other)
        fcntl.flock(other, fcntl.LOCK_EX)
        self.patch(running, "PATIENCE", 0.0)
        with self.assertRaisesRegex(HostError, "still at work"), alone(self.place):
            pass
        self.assertEqual(os.listdir(self.place.root), [])
