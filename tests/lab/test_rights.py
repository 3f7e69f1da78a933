"""Root's commands in a directory of the service's user, who puts there what it likes. Real files, and real users."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import ConfigError, HostError
from morphnet.lab.vpn import BIN
from morphnet.rights import rights_of
from morphnet.store.ledger import Ledger
from tests.lab.users import only_one

PARTS = ("morphnet.db", "morphnet.db-wal", "morphnet.db-shm", "morphnet.db-journal")


def _everything(place: Path) -> dict[str, tuple[int, int, int]]:
    """Owner, group and mode of all that is there."""
    found = {}
    for each in (place, *place.rglob("*")):
        about = each.lstat()
        found[str(each.relative_to(place))] = (about.st_uid, about.st_gid, about.st_mode & 0o7777)
    return found


class RightsCase(SynchronousTestCase):
    """A place of root's, one of the service's user, and one that only root may enter."""

    rootless = False
    skip = only_one()

    def setUp(self) -> None:
        """:ivar state: belongs to the service's user."""
        user = pwd.getpwnam("nobody")
        self.user, self.group = user.pw_uid, user.pw_gid
        self.base = Path(tempfile.mkdtemp())  # trial's own place is closed to other users
        self.addCleanup(shutil.rmtree, self.base)
        self.base.chmod(0o755)
        self.state, self.secret = self.base / "etc" / "state", self.base / "secret"
        self.secret.mkdir(mode=0o700, parents=True)

    def give(self, *paths: Path) -> None:
        """To the service's user."""
        for each in paths:
            os.chown(each, self.user, self.group, follow_symlinks=False)


class RightsTests(RightsCase):
    def setUp(self) -> None:
        """An empty directory of the service's user."""
        super().setUp()
        self.state.mkdir(mode=0o700, parents=True)
        self.give(self.state)

    def _who(self, directory: Path, **how: bool) -> tuple[int, int, list[int]]:
        with rights_of(directory, **how):
            return os.geteuid(), os.getegid(), os.getgroups()

    def test_within(self) -> None:
        """Root is the owner within, with no group but the owner's, and root again afterwards, whatever happened."""
        before = os.geteuid(), os.getegid(), os.getgroups()
        self.assertEqual(self._who(self.state), (self.user, self.group, [self.group]))
        with self.assertRaises(ZeroDivisionError), rights_of(self.state):
            _ = 1 // 0
        self.assertEqual((os.geteuid(), os.getegid(), os.getgroups()), before)

    def test_own(self) -> None:
        """In its own places root stays root, also by a link of its own, and where nothing is yet."""
        link = self.base / "link"
        link.symlink_to("secret/../secret")
        for each in (self.secret, link, self.secret / "a" / "b", Path("/etc")):
            self.assertEqual(self._who(each)[0], 0, each)

    def test_ways(self) -> None:
        """Who owns anything on the way decides: behind a link of the user's, below its directory, or not there yet."""
        (self.state / "away").symlink_to(self.state)
        mine = self.state / "mine"
        mine.mkdir(mode=0o777)  # root's own, in the user's: the user can move it away and put another there
        mine.chmod(0o777)
        self.give(self.state / "away")
        to = self.base / "to"
        to.symlink_to(self.state)
        for each in (self.state / "away", mine, self.state / "none", to, to / "mine" / ".." / "deeper"):
            self.assertEqual(self._who(each)[0], self.user, each)

    def test_closed(self) -> None:
        """What the user may not enter, in a place of its own or behind a link, is a sentence."""
        (self.state / "away").symlink_to(self.secret)
        self.give(self.state / "away")
        (self.state / "mine").mkdir(mode=0o700)
        for each in (self.state / "away", self.state / "mine"):
            self.assertIn("chown -R", str(self.assertRaises(HostError, self._who, each)))
        self.assertEqual(os.geteuid(), 0)

    def test_open(self) -> None:
        """Root's own directory that others may write is refused; below /tmp what is root's is safe."""
        shared = self.base / "shared"
        shared.mkdir()
        (shared / "in").mkdir()
        for mode, group in ((0o777, 0), (0o770, self.group), (0o1777, 0)):
            os.chown(shared, 0, group)
            shared.chmod(mode)
            self.assertIn("chmod go-w", str(self.assertRaises(ConfigError, self._who, shared)))
        self.assertEqual(self._who(shared / "in")[0], 0)
        self.assertEqual(self._who(shared, only_new=True)[0], 0)  # it has the sticky bit, as /tmp has
        shared.chmod(0o777)
        self.assertRaises(ConfigError, self._who, shared / "in")
        self.assertRaises(ConfigError, self._who, shared, only_new=True)
        os.chown(shared, 0, 0)
        shared.chmod(0o770)
        self.assertEqual(self._who(shared)[0], 0)

    def test_endless(self) -> None:
        """Links in a circle are a sentence."""
        for one, other in (("a", "b"), ("b", "a")):
            (self.base / one).symlink_to(other)
        self.assertRaises(HostError, self._who, self.base / "a")


class CommandTests(RightsCase):
    def setUp(self) -> None:
        """A network whose records are the service's, as a unit of systemd leaves them."""
        super().setUp()
        self.root = self.state.parent
        self._morphnet("init", "--name", "gw", "--address", "127.0.0.1")
        self.give(self.state, *self.state.iterdir())
        self.root.chmod(0o755)

    def _morphnet(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [str(BIN / "morphnet"), *words, "--dir", str(self.root)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertNotIn("Traceback", done.stderr)
        if done.returncode:
            self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
        return done

    def _as_service(self, do: Callable[[], object]) -> None:
        with rights_of(self.state):
            do()

    def test_usable(self) -> None:
        """What root's commands make is the service's, and nobody else can read it; the service may run."""
        with rights_of(self.state):
            running = Ledger(self.state / "morphnet.db")
        self.assertEqual(self._morphnet("invite", "anna").returncode, 0)
        self.assertEqual(self._morphnet("pki", "revoke", "anna").returncode, 0)
        self._as_service(lambda: running.lease("bert", "10.0.0.0/24", "", bytes(16)))
        self.assertEqual([each.name for each in running.certificates()], ["gw", "anna"])
        found = _everything(self.state)
        self.assertEqual({each[:2] for each in found.values()}, {(self.user, self.group)}, found)
        records = {name: mode for name, (*_, mode) in found.items() if name in PARTS}
        self.assertEqual(set(records.values()), {0o600}, found)
        self.assertIn("morphnet.db-wal", found)
        self._as_service(running.close)

    def test_links(self) -> None:
        """A link in the place of any of SQLite's files leads root nowhere: nothing is made or changed behind it."""
        kept = self.secret / "kept"
        kept.write_bytes(b"only root's")
        whole = (self.state / "morphnet.db").read_bytes()
        for name in PARTS:
            for target in (self.secret / "made", kept):
                with self.subTest(name=name, target=target.name):
                    (self.state / name).unlink(missing_ok=True)
                    (self.state / name).symlink_to(target)
                    self.give(self.state / name)
                    self._morphnet("invite", "anna")
                    self.assertEqual([each.name for each in self.secret.iterdir()], ["kept"])
                    self.assertEqual(kept.read_bytes(), b"only root's")
                    for each in self.state.iterdir():
                        each.unlink()
                    (self.state / "morphnet.db").write_bytes(whole)
                    self.give(self.state / "morphnet.db")

    def test_other_things(self) -> None:
        """A pipe or a directory in the place of any of them is a sentence, and no waiting."""
        for name in PARTS:
            for make in (os.mkfifo, os.mkdir):
                with self.subTest(name=name, make=make.__name__):
                    path, aside = self.state / name, self.state / "aside"
                    with contextlib.suppress(FileNotFoundError):
                        path.rename(aside)
                    make(path)
                    said = self._morphnet("pki", "list")
                    self.assertIn(f"{path} is no plain file", said.stderr)
                    path.unlink() if make is os.mkfifo else path.rmdir()
                    with contextlib.suppress(FileNotFoundError):
                        aside.rename(path)

    def test_directory_moved(self) -> None:
        """The directory itself is a link of the user's to a directory of root's: nothing is made there."""
        home = self.base / "home"
        self.root.rename(home)
        self.root.symlink_to(home)
        for each in (home, home / "state"):
            self.give(each)
        (home / "state").rename(home / "was")
        (home / "state").symlink_to(self.secret)
        self.give(home / "state")
        self.assertEqual(self._morphnet("invite", "anna").returncode, 1)
        self.assertEqual(list(self.secret.iterdir()), [])

    def test_renewed(self) -> None:
        """A certificate that root renews in the service's directory of keys is the service's, and follows no link."""
        pki = self.root / "pki"
        self.give(pki, *pki.iterdir())
        self.assertEqual(self._morphnet("pki", "renew").returncode, 0)
        self.assertEqual((pki / "gw.pem").stat().st_uid, self.user)
        pki.rename(self.root / "keys")
        pki.symlink_to("keys")
        self.assertEqual(self._morphnet("pki", "renew").returncode, 0)
        self.assertEqual((self.root / "keys" / "gw.pem").stat().st_uid, self.user)
