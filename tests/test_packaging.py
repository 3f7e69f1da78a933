"""What makes packages, judged without making one; `make try-deb` installs one in a bare Debian."""

from __future__ import annotations

import re
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from tests.house import ROOT

PACKAGING, SYSTEMD = ROOT / "packaging", ROOT / "tap/systemd"
SHELL = ("wheel", "deb", "try-deb", "try-upgrade", "debian/postinst", "debian/prerm", "debian/postrm")


class ScriptTests(SynchronousTestCase):
    def test_they_are_shell(self) -> None:
        """Each parses, and may be run."""
        for name in SHELL:
            file = PACKAGING / name
            interpreter = file.read_text().splitlines()[0].removeprefix("#!")
            checked = subprocess.run([interpreter, "-n", str(file)], capture_output=True, text=True, check=False)
            self.assertEqual((checked.returncode, checked.stderr), (0, ""), name)
            self.assertTrue(file.stat().st_mode & 0o100, name)

    def test_purge_knows_all(self) -> None:
        """Every unit and every user that the package brings is taken away again."""
        purge = (PACKAGING / "debian/postrm").read_text()
        upgrade = (PACKAGING / "debian/postinst").read_text()
        roles = [
            file.stem.removeprefix("morph-") for file in SYSTEMD.glob("morph-*.service") if "signer" not in file.name
        ]
        for script in (purge, upgrade):
            (listed,) = re.findall(r"for unit in (.*); do", script)
            self.assertEqual(sorted(listed.split()), sorted(roles))
        (users,) = re.findall(r"for user in (.*); do", purge)
        known = re.findall(r"^u (\S+)", (SYSTEMD / "morphnet.sysusers.conf").read_text(), re.MULTILINE)
        self.assertEqual(sorted(users.split()), sorted(known))

    def test_units_find_it(self) -> None:
        """They name the directory that the package has everything in."""
        for unit in SYSTEMD.glob("*.service"):
            programs = re.findall(r"^Exec\w*=\+?(/\S*(?:twistd|python|morphnet))\s", unit.read_text(), re.MULTILINE)
            self.assertTrue(programs, unit)
            self.assertTrue(all(each.startswith("/opt/morphnet/bin/") for each in programs), unit)
        self.assertIn('"$stage"/opt/morphnet', (PACKAGING / "deb").read_text())
