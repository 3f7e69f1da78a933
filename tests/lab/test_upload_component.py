"""Slots of our own, asked for by a real client through a real Prosody."""

from __future__ import annotations

from pathlib import Path

from morphnet.lab.vpn import wait_for
from tests.lab.test_upload import BASE, UploadCase
from tests.lab.xmpp_servers import COMPONENT_PORT, EJABBERD, PROSODY, Ejabberd, Prosody, by_slixmpp

SECRET = "the secret of a component"
HOSTS = """
VirtualHost "localhost"
Component "upload.localhost"
    component_secret = "%s"
"""
LISTEN = '  - {port: %d, ip: "127.0.0.1", module: ejabberd_service, hosts: {"upload.localhost": {password: "%s"}}}'


class ComponentCase(UploadCase):
    """morph-upload as a component."""

    def again(self) -> None:
        """Start the upload server with the component in its settings."""
        self.daemon.stop()
        secret = self.daemon.etc / "component"
        secret.write_text(SECRET + "\n")
        secret.chmod(0o600)
        settings = {"jid": "upload.localhost", "server": f"127.0.0.1:{COMPONENT_PORT}", "secret_file": str(secret)}
        with (self.daemon.etc / "upload.toml").open("a") as file:
            file.write(f'url = "{BASE}"\nmax_size = 150_000\nuser_quota = 250_000\n[component]\n')
            file.write("".join(f'{name} = "{value}"\n' for name, value in settings.items()))
        self.daemon.start()

    def asks(self, port: int, file: Path, kind: str = "image/png") -> dict[str, object]:
        """What its client is told: an address, or why not."""
        return by_slixmpp(self.node, "alice@localhost", port, file, kind, "told")


class EjabberdTests(ComponentCase):
    """ejabberd, and morph-upload as its component."""

    skip = UploadCase.skip or (None if EJABBERD else "no ejabberd here")

    def test_arrives(self) -> None:
        """It is let in, and a file arrives."""
        self.again()
        ejabberd = Ejabberd(self.node, "", LISTEN % (COMPONENT_PORT, SECRET))
        ejabberd.start()
        wait_for("it is let in", lambda: not self.daemon.status()["warnings"])
        file = self.file("pic.png", 100_000)
        self.same(str(self.asks(ejabberd.port, file)["url"]), file)


class ProsodyTests(ComponentCase):
    """Prosody, and morph-upload as its component."""

    skip = UploadCase.skip or (None if PROSODY else "no prosody here")

    def test_story(self) -> None:
        """Let in as soon as Prosody is there, a file arrives; too large and beyond the quota are refused in words."""
        prosody = Prosody(self.node, HOSTS % SECRET, ("localhost",))
        self.addCleanup(prosody.stop)
        self.again()
        self.assertIn("no slots by XMPP", self.daemon.status()["warnings"][0])
        prosody.start()
        wait_for("it is let in", lambda: not self.daemon.status()["warnings"])
        for name in ("näme with space.txt", "pic.png"):
            file = self.file(name, 100_000)
            self.same(str(self.asks(prosody.port, file)["url"]), file)
        full = self.asks(prosody.port, self.file("more.bin", 60_000))
        self.assertEqual((full["condition"], full["type"]), ("resource-constraint", "cancel"))
        self.assertIn("room for 50000 more", str(full["text"]))
        large = self.asks(prosody.port, self.file("large.bin", 150_001))
        self.assertEqual((large["condition"], large["max_size"]), ("not-acceptable", "150000"))
        self.assertEqual(self.daemon.counter("uploads_complete"), 2)
        self.assertEqual((self.daemon.counter("slots_given"), self.daemon.counter("slots_refused")), (2, 2))
        self.assertEqual([each["kind"] for each in self.daemon.happenings()][-1:], ["component-up"])
