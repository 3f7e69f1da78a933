"""A role as a service, with a program in the place of systemctl that writes down what it is asked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from morphnet.cli import systemd
from morphnet.cli.layout import SYSTEM, Place
from morphnet.cli.running import Role
from morphnet.config.home import CoordinatorConfig, HomeConfig
from morphnet.config.roles import ClientConfig, ServerConfig
from morphnet.errors import HostError
from tests.house import ROOT

FAKE = """\
#!/bin/sh
echo "${0##*/} $*" >> "$FAKE/asked"
[ -e "$FAKE/$1" ] && { cat "$FAKE/$1"; exit 0; }
[ "$1" = "$(cat "$FAKE/fails" 2>/dev/null)" ] && { echo "Access denied" >&2; exit 1; }
[ "$1" != cat ]
"""
CLIENT, SERVER = (
    Role(name, Place(SYSTEM), config) for name, config in (("client", ClientConfig()), ("server", ServerConfig()))
)


class SystemdTests(SynchronousTestCase):
    def setUp(self) -> None:
        """:ivar fake: what it finds here is an answer to a command of that name."""
        self.fake = Path(self.mktemp()).absolute()
        self.units = self.fake / "units"
        self.units.mkdir(parents=True)
        for name in ("systemctl", "systemd-sysusers", "journalctl"):
            (self.fake / name).write_text(FAKE)
            (self.fake / name).chmod(0o755)
        self.patch(os, "environ", {**os.environ, "PATH": f"{self.fake}:{os.environ['PATH']}", "FAKE": str(self.fake)})
        self.patch(systemd, "UNITS", self.units)
        self.patch(systemd, "USERS", self.fake / "sysusers.d" / "morphnet.conf")
        self.patch(systemd, "RUNS", self.units)
        self.patch(sys, "prefix", "/opt/elsewhere")

    def asked(self) -> list[str]:
        """What it was asked since the last look."""
        file = self.fake / "asked"
        said = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return said

    def test_is_for(self) -> None:
        """A service is the way where systemd runs, and for the machine's own configuration."""
        self.assertTrue(systemd.is_for(CLIENT))
        self.assertFalse(systemd.is_for(Role("client", Place(Path("/elsewhere")), ClientConfig())))
        self.patch(systemd, "RUNS", self.fake / "nowhere")
        self.assertFalse(systemd.is_for(CLIENT))

    def test_first_start(self) -> None:
        """The first time the unit is put there, with the place of this installation."""
        systemd.start(CLIENT)
        unit = "morph-client.service"
        self.assertEqual(
            self.asked(),
            [f"systemctl cat {unit}", "systemctl daemon-reload", f"systemctl enable --now {unit}"],
        )
        text = (self.units / unit).read_text()
        self.assertIn("ExecStart=/opt/elsewhere/bin/python -P -m morphnet.tap.twistd ", text)
        self.assertEqual(os.listdir(self.units), [unit])

    def test_first_start_of_a_server(self) -> None:
        """A server gets its user and its signer as well."""
        systemd.start(SERVER)
        self.assertEqual(
            self.asked(),
            [
                "systemctl cat morph-server.service",
                "systemd-sysusers ",
                "systemctl daemon-reload",
                "systemctl enable --now morph-server.service",
            ],
        )
        self.assertEqual(
            sorted(os.listdir(self.units)), ["morph-server.service", "morph-signer.socket", "morph-signer@.service"]
        )
        self.assertIn("ExecStart=/opt/elsewhere/bin/python ", (self.units / "morph-signer@.service").read_text())

    def test_first_start_of_a_home(self) -> None:
        """A home runs as whom its configuration names, a coordinator as a user of its own; neither signs."""
        for name, config in (("home", HomeConfig(user="anna")), ("coordinator", CoordinatorConfig())):
            systemd.start(Role(name, Place(SYSTEM), config))
        self.assertEqual(sorted(os.listdir(self.units)), ["morph-coordinator.service", "morph-home.service"])
        self.assertEqual(self.asked().count("systemd-sysusers "), 1)
        text = (self.units / "morph-home.service").read_text()
        self.assertIn("User=anna\n", text)
        self.assertNotIn("User=NOBODY", text)
        nobody = Role("home", Place(SYSTEM), HomeConfig())
        (self.units / "morph-home.service").unlink()
        self.assertIn("set 'user'", str(self.assertRaises(HostError, systemd.start, nobody)))

    def test_later_start(self) -> None:
        """A unit that is there, perhaps changed by the operator, is left alone."""
        (self.fake / "cat").touch()
        systemd.start(CLIENT)
        self.assertEqual(self.asked()[1:], ["systemctl enable --now morph-client.service"])
        self.assertEqual(os.listdir(self.units), [])

    def test_stop(self) -> None:
        """What runs, or would with the next start of the machine, is stopped for good."""
        questions = [f"systemctl {ask} morph-client.service" for ask in ("is-active", "is-enabled")]
        self.assertFalse(systemd.stop(CLIENT))
        self.assertEqual(self.asked(), questions)
        for question, answer in (("is-active", "activating"), ("is-enabled", "enabled")):
            (self.fake / question).write_text(f"{answer}\n")
            self.assertTrue(systemd.stop(CLIENT))
            self.assertEqual(sorted(self.asked()), sorted([*questions, "systemctl disable --now morph-client.service"]))
            (self.fake / question).unlink()

    def test_restart(self) -> None:
        """Only what runs as a service is started anew as one."""
        question = "systemctl is-active morph-client.service"
        self.assertFalse(systemd.restart(CLIENT))
        self.assertEqual(self.asked(), [question])
        (self.fake / "is-active").write_text("active\n")
        self.assertTrue(systemd.restart(CLIENT))
        self.assertEqual(self.asked(), [question, "systemctl restart morph-client.service"])

    def test_refused(self) -> None:
        """What systemd refuses is one sentence, and so is a place that no service can see."""
        (self.fake / "cat").touch()
        (self.fake / "fails").write_text("enable")
        told = str(self.assertRaises(HostError, systemd.start, CLIENT))
        self.assertEqual(told, "`systemctl enable --now morph-client.service` failed: Access denied")
        (self.fake / "cat").unlink()
        self.patch(sys, "prefix", "/home/user/venv")
        self.assertIn("install it in /opt/morphnet", str(self.assertRaises(HostError, systemd.start, CLIENT)))

    def test_why_not(self) -> None:
        """Of a service that does not come up its own last sentence is told."""
        (self.fake / "--unit").write_text("morphnet: no\nmorphnet: port 8443 is in use\nMain process exited\n")
        self.assertEqual(systemd.why_not(CLIENT, 1000.5), "port 8443 is in use")
        self.assertIn("--since @1000 ", self.asked()[0])

    def test_gave_up(self) -> None:
        """One that waits for its next start has not."""
        for word, answer in (("activating", False), ("failed", True)):
            (self.fake / "is-failed").write_text(f"{word}\n")
            self.assertEqual(systemd.gave_up(CLIENT), answer)

    def test_outdated(self) -> None:
        """A unit here that is not as this version writes it; where there is none, a package has it elsewhere."""
        self.assertFalse(systemd.is_outdated(CLIENT))
        systemd.start(CLIENT)
        self.assertFalse(systemd.is_outdated(CLIENT))
        unit = self.units / "morph-client.service"
        unit.write_text(unit.read_text().replace("RestartKillSignal=SIGUSR2\n", ""))
        self.assertTrue(systemd.is_outdated(CLIENT))

    def test_forget(self) -> None:
        """A unit that nobody has changed goes; another one stays."""
        systemd.start(CLIENT)
        unit = self.units / "morph-client.service"
        text = unit.read_text()
        unit.write_text(f"{text}# ours\n")
        systemd.forget(CLIENT)
        self.assertTrue(unit.exists())
        unit.write_text(text)
        systemd.forget(CLIENT)
        self.assertFalse(unit.exists())
        self.assertEqual(self.asked()[-1], "systemctl daemon-reload")


class UnitTests(SynchronousTestCase):
    def test_verify(self) -> None:
        """systemd itself finds nothing wrong with the units, wherever morphnet is installed."""
        program = shutil.which("systemd-analyze")
        if program is None:
            raise SkipTest("there is no systemd-analyze here")
        place = Path(self.mktemp()).absolute()
        place.mkdir()
        for file in sorted((ROOT / "tap/systemd").glob("morph-*")):
            (place / file.name).write_text(
                file.read_text()
                .replace("/opt/morphnet/bin/", "/bin/")
                .replace("/bin/python", "/bin/true")
                .replace("/bin/morphnet", "/bin/true")
                .replace("User=NOBODY", "User=root")
            )
        units = sorted(str(each) for each in place.glob("morph-*") if "@" not in each.name)
        done = subprocess.run([program, "verify", "--man=no", *units], capture_output=True, text=True, timeout=60)
        ours = [line for line in (done.stdout + done.stderr).splitlines() if "morph" in line]
        self.assertEqual(ours, [])
