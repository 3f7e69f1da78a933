"""`morphnet home`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from morphnet.cli import home
from morphnet.cli.layout import SYSTEM, Place
from morphnet.config.file import load
from morphnet.config.home import HomeConfig
from morphnet.errors import ConfigError
from morphnet.roles.home import known, password
from morphnet.roles.home.identity import name_of, read_identity
from morphnet.wire.messages.home.calls import to_text
from morphnet.wire.messages.home.invitation import Invitation
from tests.cli.case import CommandCase

LINE = Invitation("c.example:3478", to_text(bytes(32)), "https://c.example", "token").line()


class HomeTests(CommandCase):
    def setUp(self) -> None:
        super().setUp()
        self.password = Path(self.mktemp())
        self.password.write_text("correct horse\n")

    def init(self) -> None:
        self.good("home", "init", LINE, "--files", "/srv", "--password-file", str(self.password))

    def test_init(self) -> None:
        """Keys and password for their owner alone, a configuration, and the link."""
        self.init()
        config = load(HomeConfig, self.place.root / "home.toml", {})
        self.assertEqual((config.files.root, config.files.writable, config.terminal.enabled), ("/srv", False, False))
        name = name_of(read_identity(config.state_dir))
        (first,) = known.read(config)
        self.assertEqual((first.token, first.key), ("token", to_text(bytes(32))))
        self.assertEqual(password.read(config.state_dir), password.stretch("correct horse", name))
        self.assertEqual(self.good("home", "link").stdout, f"https://c.example/#{name}\n")
        modes = self.modes()
        self.assertEqual({modes[f"home/{file}"] for file in ("home.key", "invite", "password")}, {"0o600"})
        self.assertIn("already", self.bad("home", "init", LINE, "--password-file", str(self.password)))

    def test_moved(self) -> None:
        """The link of a home that was moved is that of the coordinator which it is with."""
        self.init()
        config = load(HomeConfig, self.place.root / "home.toml", {})
        other = Invitation("other.example:3478", to_text(b"o" * 32), "https://other.example", "")
        known.keep(config, (other, *known.read(config)))
        self.assertTrue(self.good("home", "link").stdout.startswith("https://other.example/#"))

    def test_services(self) -> None:
        """What is allowed at once stands in the configuration; what cannot be makes nothing."""
        words = ("home", "init", LINE, "--password-file", str(self.password))
        self.assertIn("vnc", self.bad(*words, "--vnc", "nowhere"))
        self.assertIn("terminal.ssh", self.bad(*words, "--ssh", "nas.lan"))
        address = Invitation("192.0.2.1:3478", to_text(bytes(32)), "https://192.0.2.1", "token").line()
        self.assertIn("a name", self.bad("home", "init", address, "--passkeys", "--password-file", str(self.password)))
        self.assertFalse((self.place.root / "home").exists())
        self.good(*words, "--vnc", "127.0.0.1:5901", "--passkeys")
        config = load(HomeConfig, self.place.root / "home.toml", {})
        self.assertEqual((config.vnc.server, config.passkeys.enabled), ("127.0.0.1:5901", True))

    def test_earlier(self) -> None:
        """A home's key that is there stays, and so does its password; a short password makes no key."""
        self.init()
        state, words = self.place.root / "home", ("home", "init", LINE, "--password-file", str(self.password))
        before = {file.name: file.read_bytes() for file in state.iterdir()}
        (self.place.root / "home.toml").unlink()
        self.password.write_text("another horse\n")
        self.assertIn("home.key is there already", self.bad(*words))
        self.assertEqual({file.name: file.read_bytes() for file in state.iterdir()}, before)
        (state / "home.key").unlink()
        self.password.write_text("short\n")
        self.assertIn("at least", self.bad(*words))
        self.assertFalse((state / "home.key").exists())

    def test_rights(self) -> None:
        """All that goes into the service's directory is written with the rights of its owner."""
        within: list[tuple[Path, bool, set[str]]] = []

        @contextmanager
        def rights_of(directory: Path) -> Iterator[None]:
            before = directory.exists()
            yield
            within.append((directory, before, set(os.listdir(directory))))

        self.patch(home, "rights_of", rights_of)
        self.init()
        state = self.place.root / "home"
        self.assertEqual(within, [(state, False, {"home.key", "invite", "password"})])
        self.assertEqual(set(os.listdir(state)), within[0][2])

    def test_password(self) -> None:
        """Another one counts; a short one is refused."""
        self.init()
        before = password.read(self.place.root / "home")
        self.password.write_text("another horse\n")
        self.good("home", "password", "--password-file", str(self.password))
        self.assertNotEqual(password.read(self.place.root / "home"), before)
        self.password.write_text("short\n")
        self.assertIn("at least", self.bad("home", "password", "--password-file", str(self.password)))

    def test_user(self) -> None:
        """Who the service shall run as is written down, and is a user of this machine; root's files take a word."""
        words = ("home", "init", LINE, "--password-file", str(self.password))
        self.assertIn("no user", self.bad(*words, "--user", "nobody-of-that-name"))
        self.patch(os, "environ", {**os.environ, "SUDO_USER": "root"})
        self.assertIn("give --user", str(self.assertRaises(ConfigError, home._user, Place(SYSTEM), None)))
        self.good(*words, "--user", "root")
        self.assertEqual(load(HomeConfig, self.place.root / "home.toml", {}).user, "root")

    def test_wrong(self) -> None:
        """What is no invitation is told, and nothing is made."""
        self.assertIn("no invitation", self.bad("home", "init", "morphnet1:abc"))
        self.assertFalse(self.place.root.exists())
        self.assertIn("home init", self.bad("home", "link"))
