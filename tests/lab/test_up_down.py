"""A machine is brought up, told another setting, taken down, and leaves, by `morphnet` alone; no systemd runs here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from morphnet.lab.topologies import WORLD
from morphnet.lab.vpn import BIN, INNER_SERVER, Daemon, last_line, wait_for
from tests.lab.laptop import LaptopCase

BY_BOTH = "connected by wan0, wan1"


class UpDownTests(LaptopCase):
    """A laptop with two uplinks, and its gateway."""

    timeout = 150
    delays = (0.005, 0.005)

    def setUp(self) -> None:
        """:ivar client: enrolled, its gateway up, nothing of it running."""
        super().setUp()
        self.server = self.init()
        self.says(self.server, "set", "dns", WORLD)
        self.untouched = {self.server: self.picture(self.server)}
        self.assertEqual(self.says(self.server, "up")[1][0], "server is up: serving")
        self.addCleanup(self.says, self.server, "down")
        self.client = self.vpn.enrol()
        self.untouched[self.client] = self.picture(self.client)
        self.addCleanup(self.says, self.client, "down")

    def says(self, daemon: Daemon, *words: str) -> tuple[int, list[str]]:
        """Exit code and lines of a command on its machine."""
        done = daemon.node.run([str(BIN / "morphnet"), *words, "--dir", str(daemon.etc)], timeout=90)
        return done.returncode, (done.stdout + done.stderr).splitlines()

    def down(self, *lines: str) -> None:
        """The laptop is taken down, and is as it was."""
        self.assertEqual(self.says(self.client, "down"), (0, list(lines)))
        self.assertEqual(self.picture(self.client), self.untouched[self.client])
        self.assertFalse(self.client.answers())

    def test_up_set_down(self) -> None:
        """Up, another scheduler at both ends with nothing lost, down, and the gateway too: both are as before."""
        self.assertEqual(self.says(self.client, "up"), (0, [f"client is up: {BY_BOTH}"]))
        self.assertIn(f"search morph\nnameserver {INNER_SERVER}\n", self.picture(self.client))
        self.assertEqual(self.says(self.client, "up"), (0, [f"client was up already: {BY_BOTH}"]))
        words = [sys.executable, "-m", "morphnet.lab.ping", INNER_SERVER, "--interval", "0.02"]
        ping = self.client.node.popen(words, stdout=subprocess.PIPE, text=True)
        file = self.client.etc / "client.toml"
        lines = file.read_text().splitlines()
        code, said = self.says(self.client, "set", "scheduler", "redundant")
        self.assertEqual((code, said[1:]), (0, ["The running client says: tuning.scheduler: applied."]))
        for daemon in (self.client, self.server):
            wait_for("it is used", lambda daemon=daemon: daemon.session()["scheduler"] == "redundant")  # type: ignore[misc]
        sent = {name: path["sent_packets"] for name, path in self.client.paths().items()}
        wait_for("copies by both", lambda: all(
            path["sent_packets"] >= sent[name] + 50 for name, path in self.client.paths().items()
        ))  # fmt: skip
        ping.send_signal(signal.SIGINT)
        final = last_line(ping, 30)
        self.assertEqual(final["lost"], 0, final)
        self.assertGreater(final["received"], 10)
        changed = [(old, new) for old, new in zip(lines, file.read_text().splitlines(), strict=True) if old != new]
        self.assertEqual(changed, [('#scheduler = "bond"', 'scheduler = "redundant"')])
        self.assertIn("restart the process", self.says(self.client, "set", "mtu", "1300")[1][1])
        self.down("client is down")
        self.down("client did not run")
        self.assertEqual(self.says(self.server, "down"), (0, ["server is down"]))
        self.assertEqual(self.picture(self.server), self.untouched[self.server])

    def test_two_at_once(self) -> None:
        """Of two commands one starts it; what was killed is cleared away, what stands still is stopped all the same."""
        command = [str(BIN / "morphnet"), "up", "--dir", str(self.client.etc)]
        both = [self.client.node.popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        said = sorted(each.communicate(timeout=60)[0] for each in both)
        self.assertEqual(said, [f"client is up: {BY_BOTH}\n", f"client was up already: {BY_BOTH}\n"])
        os.kill(self.client.pid(), signal.SIGKILL)
        wait_for("it is gone", lambda: not self.client.answers())
        self.assertNotEqual(self.picture(self.client), self.untouched[self.client])
        self.down("client did not run; what one that was killed had left on this machine is undone")
        self.client.start()  # by hand, in the foreground
        self.assertEqual(self.says(self.client, "up"), (0, [f"client was up already: {BY_BOTH}"]))
        os.kill(self.client.pid(), signal.SIGSTOP)
        self.down("client is down")

    def test_not_connected(self) -> None:
        """Without a gateway `up` says so, and by its exit code; what cannot start is a sentence; `leave` undoes all."""
        self.says(self.server, "down")
        code, (line,) = self.says(self.client, "up", "--wait", "1")
        self.assertEqual(code, 3)
        self.assertTrue(line.startswith("client is up: not connected: ") and line.endswith("goes on trying"), line)
        self.down("client is down")
        self.says(self.client, "set", "tun", "lo")
        code, lines = self.says(self.client, "up")
        self.assertEqual((code, len(lines)), (1, 1), lines)
        self.assertTrue(lines[0].startswith("Error: client: "), lines)
        code, lines = self.says(self.client, "leave", "--yes")
        self.assertEqual((code, lines[-1]), (0, "Next, on the server: morphnet pki revoke laptop"))
        self.assertFalse(self.client.etc.exists(), json.dumps([str(each) for each in Path(self.client.etc).rglob("*")]))
        self.assertEqual(self.picture(self.client), self.untouched[self.client])
