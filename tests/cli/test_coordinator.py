"""`morphnet coordinator`."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from morphnet.config.file import load
from morphnet.config.home import LENT, CoordinatorConfig
from morphnet.store.homes import DATABASE, HomesLedger, hidden
from morphnet.wire.messages.home.invitation import Invitation
from tests.cli.case import CommandCase


class CoordinatorTests(CommandCase):
    def test_init(self) -> None:
        """It makes a key for its owner alone, and a configuration; not twice."""
        self.good("coordinator", "init", "--plain", "--port", "8080")
        config = load(CoordinatorConfig, self.place.root / "coordinator.toml", {})
        self.assertEqual((config.plain, config.proxy, config.listen, config.port), (True, True, ("127.0.0.1",), 8080))
        modes = self.modes()
        self.assertEqual(modes["coordinator/coordinator.key"], "0o600")
        self.assertIn("already", self.bad("coordinator", "init", "--plain"))

    def test_needs_tls(self) -> None:
        """Without a certificate nothing is made, unless a proxy was named."""
        self.assertIn("--certificate", self.bad("coordinator", "init"))

    def test_acme(self) -> None:
        """With --acme its own certificate is got; not without a yes to the terms, and beside nothing else."""
        for words, said in (
            (("--acme", "c.example.org"), "--agree"),
            (("--acme", "c.example.org", "--agree", "--plain"), "stands alone"),
            (("--acme", "*.example.org", "--agree"), "DNS names"),
        ):
            self.assertIn(said, self.bad("coordinator", "init", *words))
        self.good("coordinator", "init", "--acme", "C.example.org", "--acme", "d.example.org", "--agree")
        config = load(CoordinatorConfig, self.place.root / "coordinator.toml", {})
        self.assertEqual(config.acme.names, ("c.example.org", "d.example.org"))

    def test_lend(self) -> None:
        """The unit's user is given what root may read, again after a renewal; another's run_dir gets nothing."""
        me = pwd.getpwuid(os.getuid()).pw_name
        files = [Path(self.mktemp()).absolute() for _ in "12"]
        for file in files:
            file.write_text("first")
        self.good("coordinator", "init", "--certificate", str(files[0]), "--key", str(files[1]))
        config = load(CoordinatorConfig, self.place.root / "coordinator.toml", {})
        config.run_dir.mkdir(mode=0o700)
        self.good("coordinator", "lend", me)
        files[1].write_text("renewed")
        self.good("coordinator", "lend", me)
        self.assertEqual([(config.run_dir / each).read_text() for each in LENT.values()], ["first", "renewed"])
        self.assertEqual(self.modes()["run-coordinator/key.pem"], "0o600")
        other = next(each.pw_name for each in pwd.getpwall() if each.pw_uid != os.getuid())
        self.assertIn("does not belong", self.bad("coordinator", "lend", other))

    def test_invite(self) -> None:
        """A line with all that a home needs, another one each time."""
        self.assertIn("coordinator init", self.bad("coordinator", "invite", "--address", "c.example"))
        self.good("coordinator", "init", "--plain")
        first, second = (
            Invitation.read(self.good("coordinator", "invite", "--address", "c.example").stdout.strip()) for _ in "12"
        )
        self.assertEqual((first.coordinator, first.page), ("c.example:3478", "https://c.example"))
        self.assertEqual(first.key, second.key)
        self.assertNotEqual(first.token, second.token)
        self.assertIn("not known", self.bad("coordinator", "forget", "nobody"))

    def test_forget(self) -> None:
        """A home that was forgotten stays outside, whatever is left of its invitation; a new one lets it in."""
        self.good("coordinator", "init", "--plain")
        lines = [self.good("coordinator", "invite", "--address", "c.example", "--homes", "5").stdout.strip()]
        config = load(CoordinatorConfig, self.place.root / "coordinator.toml", {})
        ledger = HomesLedger(config.state_dir / DATABASE)
        self.addCleanup(ledger.close)
        self.assertTrue(ledger.take("home", hidden(Invitation.read(lines[0]).token), 0))
        self.assertIn("may not register", self.good("coordinator", "forget", "home").stdout)
        lines.append(self.good("coordinator", "invite", "--address", "c.example", "--homes", "5").stdout.strip())
        took = [ledger.take("home", hidden(Invitation.read(line).token), 0) for line in lines]
        self.assertEqual(took, [False, True])

    def test_fallbacks(self) -> None:
        """They are kept for its owner alone, told of, and taken away; what is no invitation is refused."""
        self.good("coordinator", "init", "--plain")
        line = self.good("coordinator", "invite", "--address", "other.example", "--homes", "50").stdout.strip()
        self.assertIn("no invitation", self.bad("coordinator", "fallbacks", "x"))
        self.assertIn("at most", self.bad("coordinator", "fallbacks", *[line] * 9))
        self.assertIn("morphnet reload", self.good("coordinator", "fallbacks", line).stdout)
        self.assertEqual(self.modes()["coordinator/fallbacks"], "0o600")
        self.assertEqual(self.good("coordinator", "fallbacks").stdout, "other.example:3478\n")
        self.good("coordinator", "fallbacks", "--none")
        self.assertEqual(self.good("coordinator", "fallbacks").stdout, "")

    def test_move(self) -> None:
        """What is no invitation is refused; where no coordinator runs, that is told."""
        self.good("coordinator", "init", "--plain")
        line = self.good("coordinator", "invite", "--address", "other.example").stdout.strip()
        self.assertIn("no invitation", self.bad("coordinator", "move", "all", "x"))
        self.assertIn("no morphnet is running", self.bad("coordinator", "move", "all", line))
