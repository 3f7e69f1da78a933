"""Somebody tries it by hand, in a terminal, and closes that; or has it in a container, which is killed."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from typing import ClassVar

from morphnet.lab.topologies import WORLD
from morphnet.lab.vpn import BIN, INNER_SERVER, Daemon, Settings, wait_for
from morphnet.roles.process.resources import FIRST
from tests.lab.laptop import LaptopCase
from tests.lab.street import settle

STOP = 3.0  # seconds that a stop may take


class HandTests(LaptopCase):
    """A server and a client, each started as `morphnet init` and `join` say it."""

    settings: ClassVar[Settings] = {"dns": (WORLD,)}

    def start(self, daemon: Daemon, *before: str) -> int:
        """In a terminal of its own, whose other end is given back: closing that closes the terminal."""
        ours, theirs = pty.openpty()
        config = str(daemon.etc / f"{daemon.role.removeprefix('morph-')}.toml")
        # who runs the tests under nohup, or in the background of a script, has these ignored, and so would the daemon
        words = ["env", "--default-signal=HUP,INT", *before, str(BIN / "twistd"), "-n", daemon.role, "--config", config]
        if daemon is self.vpn.server:
            words += ["--dns", WORLD]
        daemon.process = daemon.node.popen(
            ["setsid", "--wait", "--ctty", *words], stdin=theirs, stdout=theirs, stderr=theirs, cwd=daemon.dir
        )
        os.close(theirs)
        wait_for(f"{daemon.name} answers", daemon.answers)
        return ours

    def test_terminal_closed(self) -> None:
        """A terminal that is closed, or Ctrl-C, ends server and client, and each machine is as it was."""
        before = {"gw": self.picture(self.init())}
        os.close(self.start(self.vpn.server))
        self.ended(self.vpn.server)
        self.assertEqual(self.picture(self.vpn.server), before["gw"])
        self.addCleanup(os.close, self.start(self.vpn.server))
        client = self.vpn.enrol()
        before["laptop"] = self.picture(client)
        for close in (lambda terminal: os.close(terminal), lambda terminal: self.interrupt(client, terminal)):
            terminal = self.start(client)
            wait_for("our DNS", lambda: f"nameserver {INNER_SERVER}" in self.picture(client))
            close(terminal)
            self.ended(client)
            self.assertEqual(self.picture(client), before["laptop"])

    def test_turn(self) -> None:
        """A server has its turn before others where it may; a client has its own."""
        self.addCleanup(os.close, self.start(self.init()))
        client = self.vpn.enrol()
        self.addCleanup(os.close, self.start(client))
        may = not subprocess.run(["nice", "-n", "-1", "true"], capture_output=True, check=True).stderr
        found = [os.getpriority(os.PRIO_PROCESS, each.pid()) for each in (self.vpn.server, client)]
        self.assertEqual(found, [FIRST if may else 0, 0])

    def interrupt(self, daemon: Daemon, terminal: int) -> None:
        self.addCleanup(os.close, terminal)
        os.write(terminal, b"\x03")

    def test_reload(self) -> None:
        """A SIGHUP has settings applied that can be, says which need a restart, and ends nobody."""
        self.addCleanup(os.close, self.start(self.init()))
        client = self.vpn.enrol()
        self.addCleanup(os.close, self.start(client))
        wait_for("our DNS", lambda: f"nameserver {INNER_SERVER}" in self.picture(client))
        before = client.pid()
        settle(client, (("routes", '["10.99.0.0/24"]'), ("mtu", "1300")))
        os.kill(before, signal.SIGHUP)
        wait_for("the routes", lambda: self.way(client) == "wan0")
        self.assertEqual((client.pid(), list(client.states().values())), (before, ["active"]))
        os.kill(self.vpn.server.pid(), signal.SIGHUP)
        told = client.ask({"ask": "reload"})
        self.assertEqual(told, {"done": "tuning.mtu: restart the process to apply"})
        self.assertTrue(self.vpn.server.answers())

    def way(self, client: Daemon) -> str:
        """Where packets to the world leave."""
        told = client.node.run(["ip", "route", "get", "203.0.113.254"]).stdout.split()
        return str(told[told.index("dev") + 1])

    def test_stop_with_nobody_there(self) -> None:
        """A peer that reads nothing, and a name that nobody resolves, hold up no stop; the machine is as it was."""
        self.addCleanup(os.close, self.start(self.init()))
        client = self.vpn.enrol()
        before = self.picture(client)
        client.start()
        wait_for("our DNS", lambda: f"nameserver {INNER_SERVER}" in self.picture(client))
        os.kill(client.pid(), signal.SIGSTOP)
        self.assertLess(self.stopping(self.vpn.server), STOP)
        os.kill(client.process.pid, signal.SIGCONT)  # type: ignore[union-attr]  # it was started
        client.stop()
        self.assertEqual(self.picture(client), before)
        client.settings["server"] = "nobody.example"
        client.node.resolv("nameserver 203.0.113.77\n")  # there is nobody
        before = self.picture(client)
        client.start()
        wait_for("a thread asks the C library", lambda: threads(client) > 1, 30.0)
        self.assertLess(self.stopping(client), STOP)
        self.assertEqual(self.picture(client), before)

    def stopping(self, daemon: Daemon) -> float:
        """Seconds from a SIGTERM to the end of the process."""
        assert daemon.process is not None
        begun = time.monotonic()
        os.kill(daemon.pid(), signal.SIGTERM)
        daemon.process.wait(15)
        daemon.process = None
        return time.monotonic() - begun

    def ended(self, daemon: Daemon) -> None:
        """It goes by itself, and leaves no file with its number."""
        assert daemon.process is not None
        daemon.process.wait(10)
        daemon.process = None
        self.assertFalse((daemon.dir / "twistd.pid").exists())
        self.assertEqual(list(daemon.run_dir.glob("*.sock")), [])

    def test_ignored(self) -> None:
        """Under nohup it goes on when the terminal is closed, though nothing can be written there."""
        os.close(self.start(self.init(), "nohup"))
        client = self.vpn.enrol()
        client.start()
        wait_for("a path is active", lambda: "active" in client.states().values())
        self.assertTrue(self.vpn.server.answers())

    def test_killed_container(self) -> None:
        """The first process of a container that is killed has the same number the next time, and starts again."""
        server = self.init()
        inside = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c"]
        for more in ("", "", "--pidfile=here", "--pidfile=here"):
            run = f"exec {BIN}/twistd -n {more} morph-server --config {server.etc}/server.toml"
            container = server.node.popen([*inside, run], cwd=server.dir, stdout=subprocess.DEVNULL)
            wait_for("it answers", server.answers)
            container.kill()
            container.wait()
            wait_for("it is gone", lambda: not server.answers())
        self.assertFalse((server.dir / "twistd.pid").exists())
        self.assertEqual((server.dir / "here").read_text().strip(), "1")


def threads(daemon: Daemon) -> int:
    """How many a daemon has."""
    return len(os.listdir(f"/proc/{daemon.pid()}/task"))
