"""One setting changed in the text of a file."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.edit import with_value
from morphnet.config.file import as_toml, loads, render, settings
from morphnet.config.roles import ClientConfig
from morphnet.errors import ConfigError
from tests.config.test_file import FILE

DOCUMENT = """\
# ours
server = "a"   # where it is
#name = "x"
# routes = are a matter of taste

[tuning]
# bond, flow, redundant or best
#scheduler = "bond"
mtu = 1300

[mesh]
"""


class EditTests(SynchronousTestCase):
    def changed(self, path: str, value: str, text: str = DOCUMENT) -> list[str]:
        """The lines that are others afterwards, and how."""
        before, after = text.splitlines(), with_value(text, tuple(path.split(".")), value).splitlines()
        return [f"-{each}" for each in before if each not in after] + [
            f"+{each}" for each in after if each not in before
        ]

    def test_line(self) -> None:
        """A value that is there is replaced, and the comment behind it stays."""
        self.assertEqual(
            self.changed("server", '"b"'), ['-server = "a"   # where it is', '+server = "b"   # where it is']
        )
        self.assertEqual(self.changed("tuning.mtu", "1200"), ["-mtu = 1300", "+mtu = 1200"])

    def test_default(self) -> None:
        """A default in a comment gives way; a sentence that begins like one does not."""
        self.assertEqual(self.changed("tuning.scheduler", '"best"'), ['-#scheduler = "bond"', '+scheduler = "best"'])
        self.assertEqual(self.changed("routes", "[]"), ["+routes = []"])

    def test_added(self) -> None:
        """What stands nowhere comes at the end of its table, or with its table at the end."""
        text = with_value(DOCUMENT, ("strict",), "true")
        self.assertIn("taste\nstrict = true\n\n[tuning]", text)
        self.assertTrue(with_value(DOCUMENT, ("mesh", "port"), "1").endswith("[mesh]\nport = 1\n"))
        self.assertTrue(
            with_value(DOCUMENT, ("manhole", "enabled"), "false").endswith("\n\n[manhole]\nenabled = false\n")
        )
        self.assertEqual(with_value("", ("a",), "1"), "a = 1\n")
        self.assertEqual(with_value("[tuning]\n", ("a",), "1"), "a = 1\n[tuning]\n")

    def test_line_ends(self) -> None:
        """A file that was written elsewhere keeps its line ends."""
        text = with_value(DOCUMENT.replace("\n", "\r\n"), ("tuning", "scheduler"), '"best"')
        self.assertEqual(text.count("\n"), text.count("\r\n"))
        self.assertIn('\r\nscheduler = "best"\r\n', text)

    def test_by_hand(self) -> None:
        """What cannot be changed in this way is left to the operator."""
        for text in ("tuning = { mtu = 1300 }\n", "tuning.mtu = 1300\n"):
            with self.assertRaisesRegex(ConfigError, "write it by hand"):
                with_value(text, ("tuning", "scheduler"), '"best"')
        self.assertEqual(with_value("tuning.mtu = 1300\n", ("tuning", "mtu"), "1"), "tuning.mtu = 1\n")

    @given(st.sampled_from(list(settings(ClientConfig))), st.booleans())
    def test_any(self, setting: Any, given: bool) -> None:
        """Every setting of a file that we wrote can be changed, to what it is by default, and nothing else is."""
        values: dict[str, Any] = {"server": "a", "name": "laptop", "tuning.mtu": 1300}
        if given:
            values[setting.key] = values.get(setting.key, setting.default)
        text = with_value(render(ClientConfig, values), setting.path, as_toml(values.get(setting.key, setting.default)))
        self.assertEqual(loads(ClientConfig, text, FILE), loads(ClientConfig, render(ClientConfig, values), FILE))
