"""What is left of a process that was killed, as far as it is told without; `tests.lab.test_doctor` kills one."""

from __future__ import annotations

from morphnet.cli import background
from morphnet.cli.doctoring import traces
from morphnet.cli.doctoring.traces import CHECKS
from morphnet.cli.running import Role
from morphnet.host.dns import RESOLV_CONF, ResolvConf
from morphnet.host.host import this_world
from morphnet.host.journal import encode_change
from morphnet.host.kernel import FileState
from morphnet.host.routing import Rule
from morphnet.host.strict import StrictTable
from morphnet.ops.rundir import JOURNAL
from tests.cli.doctoring.patients import PatientCase

RULE = Rule(4, 100, 1000)


class TracesTests(PatientCase):
    def setUp(self) -> None:
        super().setUp()
        self.others: list[int] = []
        self.patch(traces, "running_programs", lambda *_: self.others)
        self.undone, self.count = list[str](), 1
        self.patch(background, "undo", self.undo)

    def undo(self, role: Role) -> int:
        self.undone.append(role.name)
        return self.count

    def left(self, *changes: object, world: str = "") -> None:
        """They stand by the server's journal."""
        lines = [encode_change(number, each) for number, each in enumerate(changes)]  # type: ignore[arg-type]
        head = b'{"world": "%s"}\n' % (world or this_world()).encode()
        self.place.state_dir.mkdir(exist_ok=True)
        (self.place.state_dir / JOURNAL).write_bytes(head + b"".join(lines))

    def test_well(self) -> None:
        """Nothing is left."""
        self.assertEqual(set(self.states(CHECKS).values()), {"ok"})

    def test_host(self) -> None:
        """What stands is named, and undone when that is asked for; a running process has it, another boot had it."""
        name = "routes, rules and tables are as they were"
        self.left(RULE)
        (found,) = self.faults(CHECKS, name)
        self.assertIn(RULE.label, found.text)
        self.assertEqual(self.states(CHECKS, mend=True)[name], "mended")
        self.assertEqual(self.undone, ["server"])
        self.count = 0  # a journal of the service's user
        self.assertEqual(self.states(CHECKS, mend=True)[name], "bad")
        self.running["server"] = 1
        self.assertEqual(self.faults(CHECKS, name), [])
        self.running.clear()
        self.left(RULE, world="another boot")
        self.assertEqual(self.faults(CHECKS, name), [])

    def test_kill_switch(self) -> None:
        """It holds everything back, so it is said before all else."""
        self.left(StrictTable("morph0", 7), RULE)
        (found,) = self.faults(CHECKS, "routes, rules and tables are as they were")
        self.assertIn("kill switch", found.text)

    def test_rules(self) -> None:
        """Rules that no journal knows; another morphnet may have them."""
        name = "no policy rule stands without its process"
        self.kernel.rules.add(RULE)
        self.others = [9]
        self.assertEqual(self.faults(CHECKS, name), [])
        self.others = []
        self.assertEqual(self.states(CHECKS, mend=True)[name], "mended")
        self.assertEqual(self.kernel.rules, set())

    def test_names(self) -> None:
        """A resolv.conf that we made."""
        self.kernel.files[RESOLV_CONF] = FileState("file", ResolvConf(("9.9.9.9",)).text(self.kernel))
        self.assertEqual(len(self.faults(CHECKS, "resolv.conf is not left over")), 1)

    def test_files(self) -> None:
        """A file with the number of a process that is gone goes, when that is asked for."""
        file = Role("server", self.place, self.patient().of("server")[0].config).pid_file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("1\n")
        name = "no file of a dead process is left"
        self.assertEqual(self.states(CHECKS)[name], "note")
        self.assertEqual(self.states(CHECKS, mend=True)[name], "mended")
        self.assertFalse(file.exists())

    def test_other(self) -> None:
        """One that is not of this directory."""
        self.others = [77]
        (found,) = self.faults(CHECKS, "nothing runs from another directory")
        self.assertIn("77", found.text)
