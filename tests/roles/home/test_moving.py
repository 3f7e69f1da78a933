"""Real processes on loopback: a home, two coordinators, and what the operator and bad luck do to them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from morphnet.lab.box import BoxNode
from morphnet.lab.browsing import PASSWORD, Browsing, HomeDaemon
from morphnet.lab.chromium import CHROMIUM, Chromium
from morphnet.lab.vpn import BIN, wait_for
from morphnet.net.rtc_make import chosen
from tests.roles.here import HOST, HereCase


class MovingCase(HereCase):
    """A home that was made with an invitation of the first of two coordinators; it is not started."""

    skip = None if chosen("auto") else "no WebRTC here: pip install 'morphnet[home]'"
    timeout = 120

    def setUp(self) -> None:
        super().setUp()
        self.first, self.second = self.coordinator("first"), self.coordinator("second")
        self.home = self.daemon("morph-home", "home")
        secret = Path(self.here.dir) / "secret"
        secret.write_text(PASSWORD + "\n")
        words = ("--user", "", "--terminal", "--password-file", str(secret))
        self.link = self.home.make("init", self.invite(self.first), *words)

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

    def name_each_other(self) -> None:
        """Each coordinator is a fallback of the other."""
        for each, other in ((self.first, self.second), (self.second, self.first)):
            self.assertEqual(self.says(each, "fallbacks", self.invite(other, "--homes", "5"))[0], 0)
            each.send_signal(signal.SIGHUP)

    def look(self) -> None:
        """The home finds out now how its coordinators are."""
        assert self.home.process is not None
        os.kill(self.home.process.pid, signal.SIGHUP)


class MovingTests(MovingCase):
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


class SessionTests(MovingCase):
    """A session of a browser, in a real Chromium."""

    skip = MovingCase.skip or (None if CHROMIUM else "no chromium here (Debian package chromium)")

    def setUp(self) -> None:
        super().setUp()
        self.name_each_other()
        self.home.start()
        self.wait_at(self.first)
        browser = self.browser = Chromium(cast("BoxNode", self.here), Path(self.here.dir) / "profile")
        self.addCleanup(browser.stop)
        browser.go(self.link)
        page: Any = SimpleNamespace(browser=browser)  # in the place of a box with all in it
        self.assertEqual(Browsing.log_in(page), "")
        Browsing.look(page)

    def cut(self) -> None:
        """The connection that the session goes by is gone."""
        (spring,) = (
            pid for pid in children(self.home.pid()) if b"rtc_child" in Path(f"/proc/{pid}/cmdline").read_bytes()
        )
        (connection,) = children(spring)
        os.kill(connection, signal.SIGKILL)

    def test_nothing_noticed(self) -> None:
        """
        Moved in the middle of a terminal's lines, and cut off after the coordinator was killed that the page is from:
        each line and each key comes once, and nobody logs in again.
        """
        browser = self.browser
        browser.run("keys('stty -echo; for i in $(seq 300); do echo line-$i.; sleep 0.02; done; cat\\n')")
        browser.until("seen.includes('line-20.')")
        code, text = self.says(self.first, "move", "all", self.invite(self.second))
        self.assertEqual(code, 0, text)
        self.assertEqual((self.second.count("homes"), browser.run("inside.presence.again")), (1, 0))
        self.first.kill()
        self.cut()
        browser.run("keys('typed-1.\\n')")
        browser.until("inside.presence.again === 1 && seen.includes('typed-1.')")
        words = [word for word in browser.run("seen").split() if word.startswith(("line-", "typed-"))]
        shown = [word for word in words if "$" not in word and word.endswith(".")]
        self.assertEqual(shown, [*(f"line-{number}." for number in range(1, 301)), "typed-1."])
        self.assertEqual((self.home.count("logins"), self.second.count("calls")), (1, 1))

    def test_frozen(self) -> None:
        """
        A tab that the phone has frozen, and whose connection ends meanwhile: thawed it has each line once, and so has
        home each key that was typed before.
        """
        browser = self.browser
        browser.run("window.ticks = 0; setInterval(() => { ticks++; }, 20); 0")
        browser.run("keys('stty -echo; for i in $(seq 150); do echo line-$i.; sleep 0.02; done; cat\\n')")
        browser.until("seen.includes('line-20.') && ticks > 5")
        browser.ask("Page.setWebLifecycleState", state="frozen")
        browser.run("keys('typed-1.\\n')")
        self.cut()
        before = browser.run("ticks")
        time.sleep(3.0)  # in which it would have come back, and the lines are all said
        self.assertLess(browser.run("ticks") - before, 5)
        self.assertEqual(browser.run("inside.presence.again"), 0)
        browser.ask("Page.setWebLifecycleState", state="active")
        browser.until("inside.presence.again >= 1 && seen.includes('typed-1.')")
        words = [word for word in browser.run("seen").split() if word.startswith(("line-", "typed-"))]
        shown = [word for word in words if "$" not in word and word.endswith(".")]
        self.assertEqual(shown, [*(f"line-{number}." for number in range(1, 151)), "typed-1."])
        self.assertEqual(self.home.count("logins"), 1)

    def test_coordinator_dead(self) -> None:
        """With the only coordinator that knows the home killed, a session that is cut comes back by the fallback."""
        self.first.kill()
        self.look()
        self.cut()
        self.browser.run("keys('echo back-$((6*7))\\n')")
        self.browser.until("seen.includes('back-42')", 60.0)
        self.assertEqual((self.home.count("logins"), self.second.count("calls")), (1, 1))


def children(pid: int) -> list[int]:
    """Processes that this one has made."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
