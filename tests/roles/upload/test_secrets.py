"""The file with the secrets."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.upload import ComponentConfig, UploadConfig
from morphnet.errors import ConfigError
from morphnet.net.xmpp import UploadComponent
from morphnet.roles.upload.process import UploadProcess
from morphnet.roles.upload.secrets import Keys, read_password, read_secrets, read_tokens


class SecretsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def test_rotation(self) -> None:
        """The first line is in use, the others are still good."""
        self.path.write_bytes(b"the new one\n\n  the old one \r\n")
        self.path.chmod(0o600)
        self.assertEqual(read_secrets(self.path), (b"the new one", b"the old one"))

    def test_refused(self) -> None:
        """None, an empty one, a short one, and one that everybody may read; no secret is in the sentence."""
        with self.assertRaisesRegex(ConfigError, "no such file"):
            read_secrets(self.path)
        for text, mode, why in (("", 0o600, "no secret"), ("short", 0o600, "shorter"), ("long enough", 0o644, "chmod")):
            self.path.write_text(text)
            self.path.chmod(mode)
            with self.assertRaisesRegex(ConfigError, why) as caught:
                read_secrets(self.path)
            self.assertNotIn("long enough", str(caught.exception))

    def test_password(self) -> None:
        """What is no text is a sentence."""
        self.path.write_bytes("geheim äöü\n".encode())
        self.path.chmod(0o600)
        self.assertEqual(read_password(self.path, "x"), "geheim äöü")
        self.path.write_bytes(b"\xff" * 20)
        with self.assertRaisesRegex(ConfigError, "x: .* no text in UTF-8"):
            read_password(self.path, "x")

    def test_component_again(self) -> None:
        """A reload has the component's secret read, too; a wrong one changes nothing."""
        component = Path(self.mktemp())
        for path in (self.path, component):
            path.write_text("long enough")
            path.chmod(0o600)
        config = UploadConfig(secret_file=self.path, component=ComponentConfig(jid="up.x", secret_file=component))
        process, used = UploadProcess(config, Clock()), list[str]()
        process._component = UploadComponent("up.x", "before", 1, None, used.append)  # type: ignore[arg-type]
        self.patch(process._component, "use", used.append)
        process._read_secrets()
        self.path.write_text("another one")
        component.write_bytes(b"\xff" * 20)
        self.assertRaises(ConfigError, process._read_secrets)
        self.assertEqual((used, process._keys.shared), (["long enough"], (b"long enough",)))

    def test_tokens(self) -> None:
        """A name and 256 bits a line; whatever is wrong is said without them."""
        good = "ab" * 32
        self.path.write_text(f"# people\n\nbob {good}\n")
        self.path.chmod(0o600)
        self.assertEqual(read_tokens(self.path), {"bob": b"\xab" * 32})
        for text, mode, why in (
            ("", 0o600, "no token"),
            (f"bob {good[1:]}", 0o600, "line 1"),
            (f"b/b {good}", 0o600, "line 1"),
            (f"bob {good}\nbob {good}", 0o600, "line 2"),
            (f"bob {good}", 0o640, "chmod"),
        ):
            self.path.write_text(text)
            self.path.chmod(mode)
            with self.assertRaisesRegex(ConfigError, why) as caught:
                read_tokens(self.path)
            self.assertNotIn(good[1:], str(caught.exception))

    def test_folders(self) -> None:
        """A token is good in its own folder and nowhere else, and the shared secret is not good there."""
        keys = Keys((b"shared",), {"bob": b"b"})
        self.assertEqual((keys.of("~bob/x/f"), keys.of("s/f"), keys.of("~bob")), ((b"b",), (b"shared",), (b"shared",)))
        self.assertEqual(len(keys.of("~eve/x/f")[0]), 32)
        self.assertEqual(Keys((b"shared",), {}).of("~bob/x"), (b"shared",))
