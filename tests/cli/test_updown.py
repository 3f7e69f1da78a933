"""`morphnet up`, `down` and `restart`, with roles that only say that they run."""

from __future__ import annotations

from dataclasses import replace

from morphnet.cli import background, systemd, updown
from morphnet.cli.live import NOT_WELL
from morphnet.cli.running import Role
from morphnet.errors import HostError
from morphnet.status import NodeStatus
from tests.cli.case import CommandCase
from tests.ops.pictures import NODE

AGAIN = "systemd tries again, until `morphnet down server`"


class FakeWay:
    """One of the two ways in which a role can run; `runs` is what both know."""

    def __init__(self, runs: set[str], trouble: str = "") -> None:
        self.runs, self.trouble = runs, trouble
        self.started: list[str] = []
        self.again: list[str] = []

    def start(self, role: Role) -> None:
        if self.trouble:
            raise HostError(self.trouble)
        self.started.append(role.name)
        self.runs.add(role.name)

    def restart(self, role: Role) -> bool:
        self.again.append(role.name)
        return role.name in self.runs

    def stop(self, role: Role) -> bool:
        ran = role.name in self.runs
        self.runs.discard(role.name)
        return ran


class UpDownTests(CommandCase):
    def setUp(self) -> None:
        """
        :ivar runs: the roles that do.
        :ivar pictures: what each says of itself, one after the other, the last one for ever.
        """
        super().setUp()
        self.init()
        self.runs: set[str] = set()
        self.service, self.gave_up, self.left = False, False, 0
        self.pictures = [replace(NODE, role="server", sessions=(), headline="serving", well=True)]
        self.process, self.systemd = FakeWay(self.runs), FakeWay(self.runs)
        for module, way in ((background, self.process), (systemd, self.systemd)):
            self.patch(module, "start", way.start)
            self.patch(module, "stop", way.stop)
            self.patch(module, "restart", way.restart)
        self.patch(systemd, "is_for", lambda role: self.service)
        self.patch(systemd, "why_not", lambda role, since: "port 8443 is in use")
        self.patch(systemd, "gave_up", lambda role: self.gave_up)
        self.patch(background, "undo", lambda role: self.left)
        self.patch(Role, "process", lambda role: int(role.name in self.runs))
        self.patch(Role, "status", lambda role: self.status())

    def status(self) -> NodeStatus:
        """What a role says of itself."""
        if not self.pictures:
            raise HostError("nothing answers")
        return self.pictures.pop(0) if len(self.pictures) > 1 else self.pictures[0]

    def said(self, *words: str) -> tuple[int, list[str], str]:
        """Exit code, lines, errors."""
        ended = self.run_command(*words)
        return ended.exit_code, ended.stdout.splitlines(), ended.stderr

    def test_up(self) -> None:
        """It is waited for; a relay beside a server is left alone until it is named; once more changes nothing."""
        self.pictures.insert(0, replace(self.pictures[0], headline="starting", well=False))
        self.assertEqual(self.said("up"), (0, ["server is up: serving"], ""))
        self.assertEqual(self.said("up"), (0, ["server was up already: serving"], ""))
        self.assertEqual((self.process.started, self.systemd.started), (["server"], []))

    def test_settled(self) -> None:
        """An uplink that has no answer yet, a moment after the first has one, is no trouble; in the end it is."""
        probing = replace(NODE.sessions[0].paths[0], state="probing")
        session = replace(NODE.sessions[0], paths=(probing,))
        early = replace(self.pictures[0], sessions=(session,), headline="connected by a; no UDP on b")
        self.pictures.insert(0, early)
        self.assertEqual(self.said("up")[1][0], "server is up: serving")
        self.pictures = [early]
        self.patch(updown, "SETTLE", 0.0)
        self.assertEqual(self.said("up")[1][0], "server was up already: connected by a; no UDP on b")

    def test_restart(self) -> None:
        """What runs is started anew, in its own way; what does not is left alone."""
        self.assertEqual(self.said("restart"), (1, [], "server does not run\nrelay does not run\n"))
        self.runs.add("server")
        self.assertEqual(self.said("restart"), (0, ["server runs anew: serving"], ""))
        self.service = True
        self.assertEqual(self.said("restart", "server"), (0, ["server runs anew: serving"], ""))
        self.systemd.runs = set()  # it was started by hand
        self.said("restart")
        self.assertEqual((self.process.again, self.systemd.again), (["server", "server"], ["server", "server"]))

    def test_service(self) -> None:
        """Where systemd runs it is a service, unless a process is wanted."""
        self.service = True
        self.said("up")
        self.assertEqual((self.process.started, self.systemd.started), ([], ["server"]))
        self.runs.clear()
        self.said("up", "--process")
        self.assertEqual(self.process.started, ["server"])

    def test_not_well(self) -> None:
        """What is wrong is said in one sentence when the patience ends, and by the exit code; it stays up."""
        trouble, why = "no data path: UDP 8000 does not get through", "wlan0: a captive portal?"
        self.pictures = [replace(self.pictures[0], well=False, headline=trouble, warnings=(why,))]
        code, (line, warning), _ = self.said("up", "--wait", "0")
        self.assertEqual((code, warning), (NOT_WELL, why))
        self.assertEqual(line, f"server is up: {trouble}; it goes on trying")
        self.assertEqual(self.runs, {"server"})

    def test_does_not_start(self) -> None:
        """What keeps a role from starting is one sentence, and the next role has its turn."""
        self.process.trouble = "server: no permission to make TUN device morph0: run as root or give CAP_NET_ADMIN"
        self.assertEqual(self.said("up", "server"), (1, [], f"Error: {self.process.trouble}\n"))

    def test_service_falls_over(self) -> None:
        """Of a service that never answers its own last sentence is told."""
        self.service, self.pictures = True, []
        code, _, errors = self.said("up", "--wait", "0")
        self.assertEqual((code, errors), (1, f"Error: server: port 8443 is in use; {AGAIN}\n"))
        self.gave_up = True
        self.runs.clear()
        again = "mend that, then `morphnet up server`"
        self.assertEqual(self.said("up", "--wait", "0")[2], f"Error: server: port 8443 is in use; {again}\n")

    def test_in_its_place(self) -> None:
        """Of a relay and a gateway with the same ports one runs here, and it is said where the other one can be."""
        self.said("up")
        code, _, errors = self.said("up", "relay")
        self.assertEqual((code, self.process.started), (1, ["server"]))
        self.assertIn("relay: the server that runs here has TCP port 8443 too: `morphnet down server` first", errors)
        self.assertIn("`morphnet pki relay` makes", errors)
        self.place.relay_toml.write_text(f"control_port = 8444\n{self.place.relay_toml.read_text()}")
        self.pictures = [replace(self.pictures[0], role="relay")]
        self.assertEqual(self.said("up", "relay")[0], 0)

    def test_another_answers(self) -> None:
        """A process of another role at the same place is not taken for this one."""
        self.pictures = [replace(self.pictures[0], role="client")]
        self.assertIn("a client answers at", self.said("up")[2])

    def test_mistake(self) -> None:
        """A mistake in the configuration starts nothing, and keeps nothing from being stopped."""
        self.place.server_toml.write_text("nat = 3\n")
        code, _, errors = self.said("up")
        self.assertEqual((code, errors.count("\n"), self.runs), (1, 1, set()))
        self.runs.add("server")
        self.assertEqual(self.said("down", "server"), (0, ["server is down"], ""))

    def test_down(self) -> None:
        """All that runs is stopped, by whomever it was started; what was killed is cleared away; and it says which."""
        self.runs.add("relay")
        self.assertEqual(self.said("down"), (0, ["relay is down"], ""))
        self.assertEqual(self.said("down"), (0, ["server did not run", "relay did not run"], ""))
        self.left = 3
        traces = "; what one that was killed had left on this machine is undone"
        self.assertEqual(self.said("down", "server"), (0, [f"server did not run{traces}"], ""))
