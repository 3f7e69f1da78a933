"""Joining, leases and their limits, with real processes."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from morphnet.lab.box import BoxNode
from morphnet.lab.vpn import BIN, Daemon, wait_for
from tests.lab.street import Street, StreetCase, told, until_active


class InvitationTests(StreetCase):
    rootless = False  # nothing of it depends on who one is

    def _invite(self, name: str, *words: str) -> Path:
        server = self.shared().server
        file = Path(server.node.dir) / f"{name}.invite"
        server.morphnet("invite", name, "--dir", str(server.etc), "--file", str(file), *words)
        return file

    def _join(self, invitation: Path, place: str, *words: str) -> tuple[int, str]:
        """Exit code and last words of `morphnet join` on the second machine."""
        node = self.shared().box.node("second")
        where = Path(node.dir) / place
        done = node.run([str(BIN / "morphnet"), "join", str(invitation), "--dir", str(where), *words])
        said = (done.stdout + done.stderr).strip()
        self.assertNotIn("Traceback", said)
        if done.returncode:
            self.assertEqual(said.count("\n"), 0, said)
        return done.returncode, said

    def test_once(self) -> None:
        """An invitation is good for one machine; the next one is told so, and nothing is left of its try."""
        invitation = self._invite("vase")
        self.assertEqual(self._join(invitation, "vase")[0], 0)
        code, said = self._join(invitation, "thief")
        self.assertEqual(code, 1)
        self.assertIn("was used, revoked or has expired", said)
        thief = Path(self.shared().box.node("second").dir) / "thief"
        self.assertEqual([each for each in thief.rglob("*") if each.is_file()], [])

    def test_at_the_same_time(self) -> None:
        """Of two who use it at once, one is let in."""
        invitation, node = self._invite("both"), self.shared().box.node("second")
        command = [str(BIN / "morphnet"), "join", str(invitation), "--dir"]
        racing = [self._silently(node, [*command, f"{node.dir}/race{n}"]) for n in range(3)]
        self.assertEqual(sorted(each.wait(30) for each in racing), [0, 1, 1])

    @staticmethod
    def _silently(node: BoxNode, command: list[str]) -> subprocess.Popen[bytes]:
        started: subprocess.Popen[bytes] = node.popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return started

    def test_revoked(self) -> None:
        """One that was taken back is refused."""
        invitation, server = self._invite("gone"), self.shared().server
        server.morphnet("pki", "revoke", "gone", "--dir", str(server.etc))
        code, said = self._join(invitation, "gone")
        self.assertEqual(code, 1)
        self.assertIn("revoked", said)

    def test_expired(self) -> None:
        """One that is too old is refused; the words say that a new one is needed."""
        invitation = self._invite("late", "--days", "0.00001")
        time.sleep(1.9)
        code, said = self._join(invitation, "late")
        self.assertEqual(code, 1)
        self.assertIn("expired", said)

    def test_elsewhere(self) -> None:
        """Where nobody answers, and where somebody else does, join says so."""
        invitation = self._invite("lost")
        code, said = self._join(invitation, "lost", "--server", "203.0.113.1:9")
        self.assertEqual(code, 1)
        self.assertIn("cannot reach the server", said)
        self.assertEqual(self._join(invitation, "lost")[0], 0)
        self.assert_quiet(self.shared().server)


class PoolTests(StreetCase):
    rootless = False  # nothing of it depends on who one is
    server_settings = {"pool4": "10.73.0.0/30", "max_sessions": 2, "session_timeout_s": 1}

    def test_exhausted(self) -> None:
        """When no address is left a machine cannot join, and keeps its invitation; a released one is given out."""
        street = self.own(self.server_settings)
        laptop, server = street.vpn.join(), street.server
        desk = Daemon(street.box.node("second"), "morph-client", "desk", {})
        invitation = Path(server.node.dir) / "desk.invite"
        server.morphnet("invite", "desk", "--dir", str(server.etc), "--file", str(invitation))
        join = "join", str(invitation), "--dir", str(desk.etc)
        self.assertIn("no inner address is left", str(self.assertRaises(RuntimeError, desk.morphnet, *join)))
        self.assertEqual(len(server.status()["sessions"]), 1)
        self.assertEqual(street.ping(), 0)
        laptop.kill()
        wait_for("the session is forgotten", lambda: bool(told(server, "session-gone")), 15.0)
        self.assertEqual(server.status()["sessions"], [])
        laptop.start()
        wait_for("the same address", lambda: "active" in laptop.states().values(), 5.0)
        self.assertEqual(self._inner(laptop), ["10.73.0.2"])
        laptop.stop()
        server.morphnet("pki", "revoke", "laptop", "--release", "--dir", str(server.etc))
        desk.morphnet(*join)
        street.vpn.clients.append(desk)
        desk.start()
        wait_for("it has one now", lambda: self._inner(desk) == ["10.73.0.2"], 5.0)
        self.assert_quiet(server, laptop, desk)

    @staticmethod
    def _inner(client: Daemon) -> list[str]:
        return [each.split("/")[0] for each in client.session().get("inner", []) if ":" not in each]


class CompanyTests(StreetCase):
    rootless = False  # nothing of it depends on who one is

    def test_two_clients(self) -> None:
        """Two clients have their own addresses, which each keeps when both come back in another order."""
        street = self.shared()
        laptop = street.vpn.clients[0]
        desk = street.vpn.join("second", "table")
        inner = [each.session()["inner"] for each in (laptop, desk)]
        self.assertFalse(set(inner[0]) & set(inner[1]))
        self.assertEqual((street.ping(), street.ping("second")), (0, 0))
        self._turn_round(street, [desk, laptop])
        self.assertEqual([each.session()["inner"] for each in (laptop, desk)], inner)
        self.assertEqual((street.ping(), street.ping("second")), (0, 0))
        self.assert_quiet(street.server, laptop, desk)

    @staticmethod
    def _turn_round(street: Street, clients: list[Daemon]) -> None:
        for each in clients:
            each.stop()
        street.server.stop()
        street.server.start()
        for each in clients:
            each.start()
            until_active(each, 5.0)
