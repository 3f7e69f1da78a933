"""The service that docs/home shows, and the test kit with it: they are what they say."""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.rendezvous.home.streams import WINDOW
from morphnet.wire.messages.home.frames import Kind
from tests.house import ROOT
from tests.rendezvous.home.browser import Browser


class KitTests(SynchronousTestCase):
    def test_shown(self) -> None:
        """It runs as it stands there, with a reader that is slow too, and a session that has others opens it."""
        service, kit = re.findall(r"```python\n(.*?)```", (ROOT / "docs/home.md").read_text(), re.DOTALL)
        names: dict[str, Any] = {"Browser": Browser, "Clock": Clock, "Kind": Kind}
        exec(compile(service + kit, "docs/home.md", "exec"), names)
        browser = Browser(Clock(), names["Loud"]().opened)
        browser.reads = False
        opened = browser.open()
        browser.write(b"a" * WINDOW)
        browser.write(b"b" * 9)
        self.assertEqual(opened.data, b"A" * WINDOW)
        self.assertGreater(browser.granted, WINDOW * 3 // 4)  # less than a quarter is not worth a word
        browser.item(browser.last, Kind.CREDIT, (9).to_bytes(4, "big"))
        self.assertEqual(opened.data[WINDOW:], b"B" * 9)
