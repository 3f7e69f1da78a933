"""Real processes on loopback: a home, two coordinators, and what the operator and bad luck do to them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from morphnet.lab.browsing import PASSWORD, HomeDaemon
from morphnet.lab.vpn import BIN, wait_for
from morphnet.net import rtc_make
from tests.roles.here import HOST, HereCase


class MovingTests(HereCase):
    skip = None if rtc_make.chosen("auto") else "no WebRTC here: pip install 'morphnet[home]'"
    timeout = 120

    def setUp(self) -> None:
        super().setUp()
        self.first, self.second = self.coordinator("first"), self.coordinator("second")
        self.home = self.daemon("morph-home", "home")
        secret = Path(self.here.dir) / "secret"
        secret.write_text(PASSWORD + "\n")
        self.home.make("init", self.invite(self.first), "--user", "", "--password-file", str(secret))

    def invite(self, coordinator: HomeDaemon, *words: str) -> str:
        return coordinator.make("invite", "--address", HOST, "--page", self.pages[coordinator.name], *words)

    def says(self, coordinator: HomeDaemon, *words: str) -> tuple[int, str]:
        """Exit code of `morphnet coordinator ...`, and what it said."""
        done = self.here.run([str(BIN / "morphnet"), "coordinator", *words, "--dir", str(coordinator.etc)], 60.0)
        return done.returncode, done.stdout + done.stderr

    def wait_at(self, coordinator: HomeDaemon) -> None:
        """The home is registered there, and as far as is known nowhere else."""

        def there() -> bool:
            others = [each for each in (self.first, self.second) if each is not coordinator and each.answers()]
            return coordinator.count("homes") == 1 and not any(each.count("homes") for each in others)

        wait_for(f"the home is at the {coordinator.name} coordinator", there, 60.0)

    def look(self) -> None:
        """The home finds out now how its coordinators are."""
        assert self.home.process is not None
        os.kill(self.home.process.pid, signal.SIGHUP)

    def test_move_and_fall_back(self) -> None:
        """
        A home is moved while it runs; a move to where it is not let in changes nothing. With its coordinator killed it
        goes to the fallback, also when it starts, and comes back.
        """
        self.home.start()
        self.wait_at(self.first)
        stale = self.invite(self.second, "--days", "0")
        code, text = self.says(self.first, "move", "all", stale)
        self.assertEqual((code, "not invited" in text, "0 moved" in text), (1, True, True), text)
        self.wait_at(self.first)
        code, text = self.says(self.first, "move", "all", self.invite(self.second))
        self.assertEqual((code, "1 moved" in text), (0, True), text)
        self.wait_at(self.second)
        self.assertTrue(self.home.make("link").startswith(self.pages["second"] + "/#"))
        self.second.kill()
        self.look()
        self.wait_at(self.first)
        self.home.kill()
        self.home.start()
        wait_for("it starts at the fallback", lambda: self.home.status()["state"] == "serving", 30.0)
        self.assertEqual(self.home.count("coordinators_fallback"), 1)
        self.second.start()
        self.look()
        self.wait_at(self.second)
        self.assertEqual(self.home.count("moves_failed"), 0)
