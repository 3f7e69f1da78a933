"""Real processes on loopback: the original's browser client, a coordinator and a home of ours."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

from morphnet.lab.browsing import PASSWORD
from morphnet.lab.vpn import wait_for
from morphnet.legacy.homechannel.keys import name_of
from morphnet.net import rtc_make
from morphnet.roles.home.identity import read_identity
from tests.legacy.homechannel.browser_client import UPLOAD
from tests.ports import free_port
from tests.roles.here import HOST, HereCase

MANIFEST = {"name": "files", "version": "1.0.0", "description": "Files", "format": "iife", "entry": "ui.js"}


class HomeChannelHomeTests(HereCase):
    skip = None if rtc_make.chosen("aiortc") else "no aiortc here: pip install 'morphnet[home]'"
    timeout = 90

    def setUp(self) -> None:
        super().setUp()
        root = Path(self.here.dir)
        self.share, self.app, self.secret = root / "share", root / "app", root / "secret"
        self.share.mkdir()
        self.app.mkdir()
        (self.app / "manifest.json").write_text(json.dumps(MANIFEST))
        (self.app / "ui.js").write_text("// the original's\n")
        self.secret.write_text(PASSWORD + "\n")

    def home(self, port: int) -> str:
        """Start a coordinator and a home; the key by which old browsers know it."""
        more: dict[str, object] = {"legacy_homechannel_port": port, "open": True}
        first = self.coordinator("first", legacy_homechannel=True, **more)
        line = first.make("invite", "--address", HOST, "--page", self.pages["first"])
        home = self.daemon("morph-home", "home")
        services = ("--files", str(self.share), "--write", "--user", "")
        home.make("init", line, *services, "--password-file", str(self.secret))
        key = "".join((first.etc / "coordinator" / "homechannel.pub").read_text().splitlines()[1:-1])
        home.settings |= {
            "legacy_homechannel": True,
            "legacy_homechannel_coordinator": f"{HOST}:{self.udp['first']}",
            "legacy_homechannel_coordinator_key": key,
            "legacy_homechannel_password_file": str(self.secret),
            "legacy_homechannel_app": str(self.app),
        }
        home.start()
        wait_for("the home is registered", lambda: first.count("homechannel_servers") == 1, 30.0)
        return name_of(read_identity(home.etc / "home"))

    def test_browser(self) -> None:
        """It logs in, looks at files, downloads and uploads one, and is told that the upload is done."""
        content, port, share = os.urandom(300_000), free_port(), self.share
        (share / "down.bin").write_bytes(content)
        (share / "leads-out").symlink_to("/etc")
        name = self.home(port)
        words = [sys.executable, "-m", "tests.legacy.homechannel.browser_client", f"http://{HOST}:{port}"]
        done = self.here.run([*words, name, PASSWORD, str(share)], 60.0)
        self.assertEqual(done.returncode, 0, done.stderr)
        found = json.loads(done.stdout)
        self.assertEqual(found["bundle"]["bundle"], "// the original's\n")
        self.assertEqual([found["bundle"]["type"], found["apps"]["apps"]], ["app:bundle", [MANIFEST]])
        self.assertEqual([each["name"] for each in found["items"]["items"]], ["down.bin"])
        self.assertEqual((found["info"]["type"], found["info"]["size"]), ("file", len(content)))
        outside = "Access denied: path outside allowed directories"
        self.assertEqual(found["outside"], ["Path traversal not allowed", outside])
        self.assertEqual(found["inherited"], "Unknown operation: toString")
        about, end, sha = found["read"]
        self.assertEqual((about["streaming"], end["size"], sha), (True, 300_000, hashlib.sha256(content).hexdigest()))
        self.assertEqual(
            [each.get("uploading") or each.get("type") or each["success"] for each in found["upload"]],
            [True, True, "upload:done"],
        )
        self.assertEqual((share / "up.bin").read_bytes(), UPLOAD)
        self.assertEqual(found["made"], [{"success": True}] * 2)
        self.assertEqual(sorted(each.name for each in share.iterdir()), ["down.bin", "leads-out", "up.bin"])
