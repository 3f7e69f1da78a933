"""Who may what, with real processes: two clients and a gateway, and a policy that changes while they run."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.box import Box
from morphnet.lab.vpn import Daemon, Vpn, wait_for
from tests.lab.one_router import one_router
from tests.lab.scene import NOT_HERE

SERVER = "203.0.113.1"
HOSTS = {"server": SERVER, "anna": "203.0.113.9", "bert": "203.0.113.13"}
POLICY = """
[groups]
people = ["anna"]
[[allow]]
from = "@people"
to = "bert"
ports = ["22/tcp", "4053/udp"]
"""
WEB = '[[allow]]\nfrom = "anna"\nto = "bert"\nports = "80/tcp"\n'

# At ports 22 and 80 of TCP, and 4053 and 4054 of UDP: sends back what comes.
SERVES = """
import selectors, socket
chosen = selectors.DefaultSelector()
for port in (22, 80):
    chosen.register(socket.create_server(("0.0.0.0", port)), selectors.EVENT_READ)
for port in (4053, 4054):
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("0.0.0.0", port))
    chosen.register(datagrams, selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in chosen.select():
        each = key.fileobj
        if each.type == socket.SOCK_DGRAM:
            data, caller = each.recvfrom(99)
            each.sendto(data, caller)
        elif each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            chosen.register(each.accept()[0], selectors.EVENT_READ)
        elif data := each.recv(99):
            each.sendall(data)
        else:
            chosen.unregister(each)
            each.close()
"""
# For each line "KIND HOST PORT SECONDS" says whether it was answered; of "keep" the connection stays.
CALLS = """
import socket, sys
kept = {}
for line in sys.stdin:
    kind, host, port, within = line.split()
    try:
        link = kept.pop((host, port), None)
        if link is None:
            link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
            link.settimeout(float(within))
            link.connect((host, int(port)))
        link.settimeout(float(within))
        link.send(b"x")
        print("yes" if link.recv(9) else "ended", flush=True)
        if kind == "keep":
            kept[host, port] = link
    except OSError as trouble:
        print("no", flush=True)
"""


class PolicyTests(SynchronousTestCase):
    skip = NOT_HERE
    rootless = False
    timeout = 120

    def setUp(self) -> None:
        self.box = Box(one_router(HOSTS))
        self.box.start()
        self.addCleanup(self.box.stop)
        self.vpn = Vpn(self.box, SERVER)
        self.addCleanup(self.vpn.stop)
        self.vpn.found()
        self.gateway = self.vpn.server
        split = {"routes": ("10.73.0.0/24",)}
        self.anna, self.bert = (self.vpn.join(name, name, split) for name in ("anna", "bert"))
        self.address = next(each for each in self.bert.session()["inner"] if "." in each)
        self.run_script("bert", SERVES)
        self.callers = {name: self.run_script(name, CALLS) for name in ("anna", "server")}

    def run_script(self, node: str, script: str) -> subprocess.Popen[str]:
        words = [sys.executable, "-c", script]
        running = self.box.node(node).popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert running.stdin is not None and running.stdout is not None
        self.addCleanup(running.wait, 10)
        self.addCleanup(running.terminate)
        self.addCleanup(running.stdout.close)
        self.addCleanup(running.stdin.close)
        if script is SERVES:
            running.stdout.readline()
        return running

    def answered(self, kind: str, port: int, within: float = 5.0, *, by: str = "anna") -> bool:
        """Whether bert answers there."""
        caller = self.callers[by]
        assert caller.stdin is not None and caller.stdout is not None
        caller.stdin.write(f"{kind} {self.address} {port} {within}\n")
        caller.stdin.flush()
        return caller.stdout.readline() == "yes\n"

    def publish(self, text: str) -> None:
        """It is in force everywhere when this returns."""
        (self.gateway.etc / "policy.toml").write_text(text)
        self.gateway.morphnet("policy", "publish", "--dir", str(self.gateway.etc))
        sequence = self.policy(self.gateway)["sequence"]
        for each in (self.anna, self.bert):
            wait_for(f"{each.name} has it", partial(self.has, each, sequence))

    def has(self, daemon: Daemon, sequence: int) -> bool:
        return self.policy(daemon).get("sequence") == sequence

    def policy(self, daemon: Daemon) -> dict[str, Any]:
        return dict(daemon.status()["policy"] or {})

    def refused(self, daemon: Daemon) -> dict[tuple[str, str], int]:
        return {(each["source"], each["target"]): each["packets"] for each in self.policy(daemon)["refused"]}

    def test_live(self) -> None:
        """What is allowed is reached, and what is not is not, from the moment on at which it is published."""
        self.assertTrue(all(self.answered("keep", port) for port in (22, 80)))
        self.publish(POLICY)
        self.assertEqual([self.answered(*each) for each in (("tcp", 22), ("keep", 22), ("udp", 4053))], [True] * 3)
        for kind, port in (("tcp", 80), ("keep", 80), ("udp", 4054)):
            self.assertFalse(self.answered(kind, port, 0.4), (kind, port))
        self.assertGreaterEqual(self.refused(self.gateway)["anna", "bert"], 3)
        told = [each["text"] for each in self.gateway.happenings() if each["kind"] == "refused"]
        self.assertEqual([each for each in told if each.startswith("anna may not reach bert at 80/tcp")], told)
        self.assertEqual(len(told), 1)
        self.receiver()
        asked = self.anna.morphnet("policy", "test", "anna", "bert", "22/tcp", "--dir", str(self.anna.etc))
        self.assertEqual(asked, "yes (22/tcp): rule 1: from anna to bert, ports 22/tcp, 4053/udp\n")
        self.restarts()
        self.publish(POLICY + WEB)
        self.assertTrue(self.answered("tcp", 80))
        self.gateway.morphnet("policy", "withdraw", "--dir", str(self.gateway.etc))
        wait_for("it is withdrawn", lambda: not self.policy(self.bert)["enforced"])
        self.assertTrue(self.answered("udp", 4054))

    def receiver(self) -> None:
        """Bert himself refuses what comes from his gateway: for that no other machine is there to judge."""
        self.assertFalse(self.answered("tcp", 22, 0.4, by="server"))
        self.assertEqual(list(self.refused(self.bert)), [("gateway", "bert")])

    def restarts(self) -> None:
        """Who ends and begins again has the policy from the first packet on, and what lived lives on."""
        self.bert.kill()
        self.gateway.kill()
        self.gateway.start()
        self.bert.start()
        self.assertTrue(self.answered("keep", 22, 15.0))
        self.assertFalse(self.answered("tcp", 80, 0.4))
