"""Clients and servers of the original morphProtocol, and ours; real processes in namespaces."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.box import Box, BoxNode
from morphnet.lab.topologies import SERVER, direct
from morphnet.lab.vpn import BIN, Daemon, Vpn, wait_for
from tests.lab.original_client import PORT, SIZES
from tests.lab.original_server import STRAYS
from tests.lab.scene import NOT_HERE

LISTEN = 51821  # where our client has the local WireGuard's endpoint
HEALTH = 8080


class Talk:
    """A process that is told by lines what to do, and answers by lines."""

    def __init__(self, node: BoxNode, *words: str) -> None:
        """Returns when it is under way."""
        command = [sys.executable, "-m", *words]
        self._process: subprocess.Popen[str] = node.popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.line()

    def line(self) -> Any:
        """Its next one."""
        assert self._process.stdout is not None  # asked for above
        return json.loads(self._process.stdout.readline())

    def __call__(self, word: str, *rest: object) -> Any:
        assert self._process.stdin is not None  # likewise
        self._process.stdin.write(json.dumps([word, *rest]) + "\n")
        self._process.stdin.flush()
        return self.line()

    def end(self) -> None:
        """It has done its work."""
        self._process.kill()
        self._process.communicate()


class LegacyCase(SynchronousTestCase):
    """A client and a server, joined by a cable."""

    rootless = False
    skip = NOT_HERE
    timeout = 120

    def setUp(self) -> None:
        self.box = Box(direct())
        self.box.start()
        self.addCleanup(self.box.stop)
        self.here, self.there = self.box.node("client"), self.box.node("server")
        self.key = Path(self.there.dir) / "legacy.key"

    def talk(self, node: BoxNode, *words: object) -> Talk:
        """Start one; it ends with the test."""
        started = Talk(node, *map(str, words))
        self.addCleanup(started.end)
        return started


class OldClientTests(LegacyCase):
    """Clients of the original, at our server."""

    def setUp(self) -> None:
        super().setUp()
        self.talk(self.there, "tests.lab.echo", "127.0.0.1", 51820)
        self.vpn = Vpn(self.box, SERVER, self.settings())
        self.addCleanup(self.vpn.stop)
        self.vpn.found()

    def settings(self) -> dict[str, object]:
        """Of the server."""
        own = {"key_file": self.key, "health": f"127.0.0.1:{HEALTH}", "timeout_s": 3, "max_sessions": 13}
        return {"legacy_morphprotocol": True, **{f"legacy_morphprotocol_{name}": each for name, each in own.items()}}

    def client(self, template: int = 1, layers: int = 3, seed: int = 1) -> Talk:
        """One with an id of its own."""
        return self.talk(self.here, "tests.lab.original_client", SERVER, self.key, template, layers, seed)

    def counted(self, name: str) -> int:
        """What the server has counted."""
        status = self.vpn.server.status()
        return int((status["counters"] | status["levels"]).get(name, 0))

    def test_echoes(self) -> None:
        """Three templates, four layers, odd sizes and large ones: all comes back whole. Health; what was carried."""
        for template in (1, 2, 3):
            for layers in (1, 2, 3, 4):
                if (template, layers) == (3, 3):
                    wait_for("all have gone", lambda: self.counted("legacy_sessions") == 0)  # ten a minute, from here
                    self.vpn.server.stop()
                    self.vpn.server.start()
                client = self.client(template, layers, 10 * template + layers)
                self.assertEqual(client("handshake")["status"], "connected")
                sent = 6 * len(SIZES)
                self.assertEqual(
                    client("echo", 6), {"sent": sent, "whole": sent, "spoilt": 0, "lost": 0}, (template, layers)
                )
                client("close")
        wait_for("all have gone", lambda: self.counted("legacy_sessions") == 0)
        for page in ("health", "metrics"):
            got = self.there.run(["curl", "-s", f"http://127.0.0.1:{HEALTH}/{page}"])
            self.assertEqual(json.loads(got.stdout)["status"], "ok")
        self.vpn.server.stop()
        told = json.loads(self.vpn.server.morphnet("traffic", "--json", "--dir", str(self.vpn.server.etc)))
        (user,) = told["users"]
        carried = [sum(each[way] for each in user["months"]) for way in ("sent_bytes", "received_bytes")]
        self.assertEqual((user["name"], carried), ("old:user-1", [12 * 6 * sum(SIZES)] * 2))

    def test_moves(self) -> None:
        """Same id, address change, strangers, a word at the end: the session is one all the time."""
        whole = {"sent": len(SIZES), "whole": len(SIZES), "spoilt": 0, "lost": 0}
        client = self.client(template=1)
        first = client("handshake")
        self.assertEqual(client("echo"), whole)
        client("move")  # as behind a NAT that forgot, or in another network
        self.assertEqual(client("echo"), whole)
        client("move")
        self.assertEqual(client("echo", 1, PORT), whole)  # data to the control port, as the seed has it
        for kind, counter, least in (
            ("id", "legacy_wrong_id", 1),
            ("replay", "legacy_elsewhere", 2),
            ("garbage", "legacy_malformed", 1),
            ("message", "legacy_strangers", 1),
        ):
            before = self.counted(counter)
            self.assertEqual(client("strange", kind), {"back": 0}, kind)
            self.assertGreaterEqual(self.counted(counter) - before, least, kind)
            self.assertEqual(client("echo"), whole, kind)
        (seen,) = self.vpn.server.status()["legacy"]
        self.assertEqual((seen["moves"], seen["user"], seen["template"]), (2, "user-1", "quic"))
        client("move")
        again = client("handshake")
        self.assertEqual((again["status"], again["port"]), ("reconnected", first["port"]))
        self.assertEqual(client("echo"), whole)
        self.assertEqual(client("hear", 9.0)["words"], ["inactivity"])
        self.assertEqual(self.counted("legacy_sessions"), 0)
        self.assertEqual(client("handshake")["status"], "connected")
        spare, begun = list[str](), time.monotonic()
        while "silence" not in spare and len(spare) < 40:
            spare.append(client("handshake")["status"])
        self.assertEqual((spare[:7], spare[-1]), (["reconnected"] * 7, "silence"), spare)
        self.assertLessEqual(len(spare) - 1, 10 + (time.monotonic() - begun) / 6, spare)  # ten a minute, and not more
        self.vpn.server.stop()
        self.assertEqual(client("hear", 0.5)["words"], ["inactivity"])


class OldServerTests(LegacyCase):
    """Our client, at a server of the original."""

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Wait; whoever does not answer yet is waited for."""

        def tried() -> bool:
            try:
                return holds()
            except OSError:
                return False

        wait_for(what, tried)

    def test_echoes(self) -> None:
        """It connects without root's rights on anything, every size comes back, stray datagrams harm nothing."""
        self.key.write_text("A" * 43 + "=:" + "A" * 22 + "==\n")
        server = self.talk(self.there, "tests.lab.original_server", PORT, self.key)
        client = Daemon(self.here, "morph-client", "laptop", {})
        client.etc.mkdir(parents=True)
        (client.etc / "client.toml").write_text(
            f'legacy = "{SERVER}:{PORT}:anna"\nlegacy_key = "{self.key}"\n'
            f'state_dir = "{client.etc}/state"\nrun_dir = "{client.run_dir}"\n'
        )
        self.addCleanup(client.stop)
        client.start()
        self.assertEqual(server.line()["said"], "handshake")
        self.until("it is connected", lambda: client.status()["well"] is True)
        devices = self.here.run(["ip", "-br", "link"]).stdout
        self.assertNotIn("morph0", devices)
        asked = self.here.run([sys.executable, "-m", "tests.lab.asking", str(LISTEN), *map(str, SIZES * 6)], timeout=60)
        self.assertEqual(asked.stdout.split(), [str(6 * len(SIZES)), "0"], asked.stderr)
        self.assertGreaterEqual(client.status()["counters"]["legacy_strangers"], 2 * len(STRAYS))
        said = self.here.run([str(BIN / "morphnet"), "status", "--run-dir", str(client.run_dir)]).stdout
        self.assertIn("connected to an original server", said)
        client.stop()
        self.assertEqual(server.line()["said"], "close")
