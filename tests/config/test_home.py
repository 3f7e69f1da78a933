"""Settings of coordinators and homes."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.file import load, render
from morphnet.config.home import CoordinatorConfig, HomeConfig
from morphnet.errors import ConfigError


class HomeConfigTests(SynchronousTestCase):
    def test_files(self) -> None:
        """What we render is read again."""
        path = Path(self.mktemp())
        path.write_text(render(HomeConfig, {"coordinator": "c.example:3478", "files": {"root": "/srv"}}))
        config = load(HomeConfig, path, {})
        self.assertEqual((config.coordinator, config.files.root), ("c.example:3478", "/srv"))
        self.assertEqual(load(CoordinatorConfig, None, {"port": "8443"}).port, 8443)

    def test_nothing_is_allowed(self) -> None:
        """Each service is off until it is allowed, and a coordinator takes nobody that was not invited."""
        home = load(HomeConfig, None, {"coordinator": "c.example"})
        self.assertEqual((home.files.root, home.files.writable, home.terminal.enabled), ("", False, False))
        self.assertEqual((CoordinatorConfig().open, CoordinatorConfig().plain), (False, False))

    def test_pages(self) -> None:
        """Sites, and no addresses of pages."""
        good = ["http://127.0.0.1:8090", "https://page.example", "http://[::1]:8090"]
        self.assertEqual(load(CoordinatorConfig, None, {"pages": ",".join(good)}).pages, tuple(good))
        for wrong in ("https://page.example/", "page.example", "*", "null"):
            self.assertRaisesRegex(ConfigError, "pages", load, CoordinatorConfig, None, {"pages": wrong})

    def test_ssh(self) -> None:
        """Where a terminal logs in: names, addresses, and ports."""
        for good in ("anna@nas", "anna@nas.lan:2222", "anna@192.0.2.1", "a.b-c@[fd00::1]:22", "anna@[fd00::1]"):
            home = load(HomeConfig, None, {"coordinator": "c.example", "terminal.ssh": good})
            self.assertEqual(home.terminal.ssh, good)

    def test_wrong(self) -> None:
        """One sentence for what cannot be."""
        for name, wrong in (
            ("coordinator_key", "short"),
            ("ice", "turn:x"),
            ("webrtc", "pion"),
            ("coordinator", "a b"),
            ("turn.urls", "stun:x"),
            ("terminal.ssh", "nas.lan"),
            ("terminal.ssh", "-oProxyCommand=x@nas.lan"),
            ("terminal.ssh", "anna@-oProxyCommand=x"),
            ("terminal.ssh", "anna@nas.lan:0"),
            ("terminal.ssh", "anna@nas.lan -v"),
        ):
            with self.assertRaisesRegex(ConfigError, name.replace("_", "-").replace(".", "-")):
                load(HomeConfig, None, {"coordinator": "c.example", name: wrong})
