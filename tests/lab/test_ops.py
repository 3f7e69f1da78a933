"""What an operator does with real processes: start, stop, look, touch; and with how few privileges they run."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from morphnet.lab.vpn import BIN, Daemon, wait_for
from tests.lab.street import Street, StreetCase, final, until_active

TWISTD = str(BIN / "twistd")
# /dev/net/tun as Debian has it, 0666, for one process: in containers root alone may open it.
_MAKE_TUN = "mount -t tmpfs -o mode=0755 tmpfs /dev/net && mknod -m 0666 /dev/net/tun c 10 200"
OPEN_TUN = ["unshare", "--mount", "--propagation=private", "sh", "-c", f'{_MAKE_TUN} && exec "$@"', "open-tun"]


def _gone(pid: int) -> bool:
    """Whether a process has ended; its parent may be slow to notice."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


class ConsoleTests(StreetCase):
    def _console(self, daemon: Daemon, command: str) -> str:
        return daemon.morphnet("console", "--dir", str(daemon.etc), command)

    def test_look(self) -> None:
        """The console and `status` show the real session on both sides; --json is JSON."""
        street = self.shared()
        client, server = street.vpn.clients[0], street.server
        shown = self._console(client, "paths()")
        for word in ("wan0", "wan1", "active", "198.51.100.2"):
            self.assertIn(word, shown)
        self.assertIn("laptop", self._console(server, "sessions()"))
        self.assertIn("session begins", self._console(server, "events()"))
        for daemon in (client, server):
            status = json.loads(daemon.morphnet("status", "--json", "--dir", str(daemon.etc)))
            self.assertEqual(len(status["sessions"]), 1)
            self.assertIn("X25519MLKEM768", daemon.morphnet("status", "--dir", str(daemon.etc)))
        self.assertEqual(client.status()["state"], "connected")

    def test_scheduler(self) -> None:
        """A scheduler chosen at one end holds at both."""
        street = self.shared()
        client, server = street.vpn.clients[0], street.server
        for daemon, name in ((client, "redundant"), (server, "best"), (client, "bond")):
            self._console(daemon, f"scheduler('{name}')")
            self._until_both(street, name)
        self.assertEqual(street.ping(), 0)

    @staticmethod
    def _until_both(street: Street, name: str) -> None:
        ends = (street.server, *street.vpn.clients)
        wait_for(f"both use {name}", lambda: {each.session()["scheduler"] for each in ends} == {name}, 3.0)

    def test_cut_and_restore(self) -> None:
        """A path that is cut is gone at both ends and nothing is lost; restored it is used again."""
        street = self.shared()
        client, server = street.vpn.clients[0], street.server
        until_active(client, paths=2)
        echoes = street.tool("client", "ping", "10.73.0.1", "--count", 250, "--grace", 1.0)
        time.sleep(0.5)
        self.assertIn("closed", self._console(client, "cut('wan0')"))
        wait_for("one path at both ends", lambda: len(client.paths()) == len(server.paths()) == 1, 3.0)
        self.assertEqual([name for name in client.paths() if not name.startswith("tcp")], ["wan1"])
        self.assertIn("opened", self._console(client, "restore('wan0')"))
        until_active(client, 3.0, paths=2)
        self.assertEqual(final(echoes, 20.0)["lost"], 0)
        self.assert_quiet(client, server)

    def test_lost(self) -> None:
        """
        An uplink without a cable is shown as lost, and one that was cut meanwhile stays cut until its name is told;
        what its paths and sockets had counted is in the sums all the while.
        """
        street = self.shared()
        client = street.vpn.clients[0]

        def stands() -> tuple[str, str]:
            (found,) = (each for each in client.status()["uplinks"] if each["name"] == "wan0")
            return found["state"], found["why"]

        self.assertEqual((street.ping(), stands()), (0, ("up", "")))
        self._console(client, "cut('wan0')")
        self.assertEqual(stands(), ("cut", "by the operator, until `restore('wan0')`"))
        before = client.status()
        street.box.link_down("client", "wan0")
        wait_for("it is missed", lambda: stands()[0] == "lost", 3.0)
        self.assertIn("wan0 lost ", client.morphnet("status", "--dir", str(client.etc)))
        street.box.link_up("client", "wan0")
        wait_for("it is back", lambda: stands()[0] == "cut", 5.0)
        self.assertEqual([name for name in client.paths() if not name.startswith("tcp")], ["wan1"])
        self.assertIn("opened", self._console(client, "restore('wan0')"))
        until_active(client, 3.0, paths=2)
        after = client.status()
        for kind in ("counters", "totals"):
            fallen = {name for name, count in before[kind].items() if after[kind][name] < count}
            self.assertEqual(fallen, set(), kind)

    def test_rekey_drop_trace(self) -> None:
        """New keys at once; a trace shows datagrams of both directions; a dropped session is there again by itself."""
        street = self.shared()
        client, server = street.vpn.clients[0], street.server
        epoch = client.session()["epoch"]
        self.assertIn("new key", self._console(client, "rekey()"))
        self.assertEqual(client.session()["epoch"], epoch + 1)
        echoes = street.tool("client", "ping", "10.73.0.1", "--seconds", 2.5, "--grace", 0.5)
        traced = self._console(server, "trace(seconds=1)").splitlines()
        self.assertGreater(len(traced), 50)
        self.assertTrue({"<", ">"} <= {line[:1] for line in traced}, traced[:5])
        echoes.communicate(timeout=10)
        before = server.session()["since"]
        self.assertIn("dropped", self._console(server, "drop('laptop')"))
        wait_for("a new session", lambda: server.session().get("since", before) != before, 5.0)
        until_active(client, 5.0, paths=2)
        self.assertEqual(street.ping(), 0)
        self.assert_quiet(client, server)


class DaemonTests(StreetCase):
    def _start(self, daemon: Daemon) -> subprocess.CompletedProcess[str]:
        """As the README says it, without -n."""
        role = daemon.role.removeprefix("morph-")
        config = str(daemon.etc / f"{role}.toml")
        command = [TWISTD, f"--pidfile={daemon.dir / 'pid'}", daemon.role, "--config", config]
        return daemon.node.run(command, cwd=daemon.dir)

    def test_in_the_background(self) -> None:
        """`twistd morph-...` without -n: a pid file, twistd.log, a session; SIGTERM ends it and the pid file."""
        street = self.own()
        server, client = street.server, street.vpn.enrol()
        server.stop()
        pids = []
        for daemon in (server, client):
            done = self._start(daemon)
            self.assertEqual((done.returncode, done.stderr), (0, ""), daemon.role)
            wait_for("it answers", daemon.answers, 5.0)
            pids.append(int((daemon.dir / "pid").read_text()))
            self.assertEqual(daemon.pid(), pids[-1])
        until_active(client, paths=2)
        self.assertEqual(street.ping(), 0)
        again = self._start(client)
        self.assertNotEqual(again.returncode, 0)
        self.assertIn("Another twistd server is running", again.stdout + again.stderr)
        for daemon, pid in zip((client, server), reversed(pids), strict=True):
            os.kill(pid, signal.SIGTERM)
            wait_for("it has ended", functools.partial(_gone, pid), 10.0)
            self.assertFalse((daemon.dir / "pid").exists())
            log = (daemon.dir / "twistd.log").read_text()
            self.assertIn("stopped", log)
            self.assertNotIn("Traceback", log)

    def test_second_start(self) -> None:
        """A second process on the same state directory is refused in one sentence; the first goes on."""
        street = self.shared()
        server = street.server
        config = str(server.etc / "server.toml")
        done = server.node.run([TWISTD, "-n", "--pidfile=", "--logfile=/dev/null", "morph-server", "--config", config])
        self.assertEqual(done.returncode, 1)
        self.assertIn("in use by another morphnet", done.stderr)
        self._one_sentence(done)
        self.assertEqual(street.ping(), 0)

    def test_second_start_in_the_background(self) -> None:
        """The same without -n: the terminal sees why, not only the log, and no pid file stays."""
        street = self.shared()
        done = self._start(street.server)
        self.assertEqual(done.returncode, 1)
        self.assertIn("in use by another morphnet", done.stdout + done.stderr)
        self.assertNotIn("Traceback", done.stdout + done.stderr)
        self.assertFalse((street.server.dir / "pid").exists())
        self.assertEqual(street.ping(), 0)

    def test_wrong_configuration(self) -> None:
        """A mistake in the file is one sentence with file and line, and the exit code for it, also without -n."""
        node = self.shared().box.node("second")
        config = Path(node.dir) / "wrong.toml"
        config.write_text('name = "x"\nlisten = ["nowhere"]\n')
        for words in (["-n"], []):
            command = [TWISTD, *words, f"--pidfile={node.dir}/pid", "morph-server", "--config", str(config)]
            done = node.run(command, cwd=node.dir)
            self.assertEqual(done.returncode, os.EX_CONFIG)
            self.assertIn(f"{config}:2", (done.stdout + done.stderr).replace(", line ", ":").replace(" line ", ":"))
            self._one_sentence(done)

    def _one_sentence(self, done: subprocess.CompletedProcess[str]) -> None:
        self.assertEqual(len((done.stdout + done.stderr).strip().splitlines()), 1, done.stdout + done.stderr)


class PrivilegeTests(StreetCase):
    rootless = False  # it is about giving privileges of root away

    def _start(self, street: Street, daemon: Daemon, user: int) -> None:
        """As the systemd units do: one capability, none to be had again."""
        identity = [f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        only = ["--bounding-set=-all,+net_admin", "--inh-caps=-all,+net_admin", "--ambient-caps=-all,+net_admin"]
        role = daemon.role.removeprefix("morph-")
        command = [
            *OPEN_TUN,
            "setpriv",
            *identity,
            *only,
            "--no-new-privs",
            TWISTD,
            "-n",
            "--pidfile=",
            "--logfile=-",
            daemon.role,
        ]
        with daemon.log.open("a") as log:
            daemon.process = daemon.node.popen(
                [*command, "--config", str(daemon.etc / f"{role}.toml")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            wait_for("it answers", daemon.answers, 10.0)
        except Exception:
            raise AssertionError(daemon.log.read_text()[-2000:]) from None

    def test_one_capability(self) -> None:
        """Server and client do all of it with CAP_NET_ADMIN alone, the server as nobody if nobody may read Python."""
        street = self.own({})
        server, client = street.server, street.vpn.enrol()
        server.stop()
        user = self._nobody(street)
        if user:
            self._give(server, user)
        self._start(street, server, user)
        self._start(street, client, 0)
        until_active(client, paths=2)
        self.assertEqual(street.ping(), 0)
        self.assertEqual(street.ping(host="10.99.0.2"), 0)  # through NAT
        for daemon in (server, client):
            status = Path(f"/proc/{daemon.pid()}/status").read_text()
            self.assertIn("CapEff:\t0000000000001000\n", status)
        self._stop_and_look(street, server, client)

    def _stop_and_look(self, street: Street, server: Daemon, client: Daemon) -> None:
        client.stop()
        server.stop()
        for daemon in (server, client):
            for word in ("not changed", "not undone", "could not be configured", "Traceback"):
                self.assertNotIn(word, daemon.log.read_text())

    @staticmethod
    def _nobody(street: Street) -> int:
        """The user of the unit, or root where only root may read this Python."""
        able = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", "import morphnet"]
        return 65534 if street.box.node("server").run(able).returncode == 0 else 0

    @staticmethod
    def _give(daemon: Daemon, user: int) -> None:
        """Its files, as `ExecStartPre` and systemd's directories do."""
        for top in daemon.dir.parents:
            if top.name.startswith("morphnet-lab-"):
                top.chmod(0o711)
        for path in [daemon.dir, *daemon.dir.rglob("*")]:
            os.chown(path, user, user)
