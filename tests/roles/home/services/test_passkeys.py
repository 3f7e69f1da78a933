"""Passkeys, for who is logged in."""

from __future__ import annotations

import errno
import json
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.home import passkeys
from morphnet.roles.home.passkeys import Passkeys
from morphnet.roles.home.services.passkeys import ADD_WITHIN, PasskeyService
from morphnet.wire.messages.home.calls import from_text, to_text
from morphnet.wire.messages.home.frames import Kind
from tests.rendezvous.home.browser import Browser
from tests.roles.home.authenticator import Authenticator


class PasskeyServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        self.passkeys = Passkeys(directory, "https://c.example", lambda: 7.0)
        service = PasskeyService(self.passkeys, "home", lambda size: b"c" * size)
        self.told: list[str] = []
        self.clock = Clock()
        self.browser = Browser(self.clock, lambda stream, asked: self.told.append(service.opened(stream, asked)))
        self.addCleanup(service.close)

    def say(self, **words: object) -> None:
        self.browser.item(self.browser.last, Kind.SAID, json.dumps(words).encode())

    def test_add_list_remove(self) -> None:
        """One more, shown by its name, and one less."""
        adding, device = self.browser.open(do="add"), Authenticator()
        self.assertEqual((adding.said[0]["known"], len(from_text(adding.said[0]["owner"]))), ([], 32))
        self.say(made=device.make(from_text(adding.said[0]["challenge"])), name="phone")
        name = to_text(device.id)
        self.assertEqual((adding.said[1], adding.over), ({"added": name}, ""))
        self.assertEqual(self.browser.open(do="list").said, [{"passkeys": [[name, "phone", 7]]}])
        self.assertEqual(self.browser.open(do="add").said[0]["known"], [name])
        self.assertEqual(self.browser.open(do="remove", id=name).over, "")
        self.assertEqual((self.passkeys.all, self.told[-1]), ({}, "removes passkey phone"))

    def test_late(self) -> None:
        """One is added soon after a login, not by whoever comes to a page that is open; removed it is at any time."""
        adding, device = self.browser.open(do="add"), Authenticator()
        challenge = from_text(adding.said[0]["challenge"])
        self.clock.advance(ADD_WITHIN + 1)
        self.say(made=device.make(challenge), name="phone")
        self.assertEqual(adding.over, "log in again first: a passkey is added within 5 minutes of that")
        self.assertEqual(self.browser.open(do="add").over, adding.over)
        self.assertEqual(self.browser.open(do="list").said, [{"passkeys": []}])

    def test_full_disk(self) -> None:
        """A disk that takes nothing is told; the session goes on."""

        def full(path: Path, content: bytes, *, mode: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        adding, device = self.browser.open(do="add"), Authenticator()
        self.say(made=device.make(from_text(adding.said[0]["challenge"])), name="phone")
        self.patch(passkeys, "write_over", full)
        removing = self.browser.open(do="remove", id=adding.said[1]["added"])
        self.assertEqual(removing.over, "that cannot be kept: the disk is full")
        again = self.browser.open(do="add")
        self.say(made=Authenticator().make(from_text(again.said[0]["challenge"])), name="phone")
        self.assertEqual(again.over, removing.over)

    def test_wrong(self) -> None:
        """What is none is not kept, and neither is one that nobody asked for; who makes none says so by ending."""
        adding = self.browser.open(do="add")
        self.say(made=Authenticator().make(b"d" * 32), name="phone")
        self.assertEqual(adding.over, "this passkey cannot be used here")
        adding = self.browser.open(do="add")
        self.say(made=7, name="phone")
        self.assertNotIn(adding.over, (None, ""))
        adding = self.browser.open(do="add")
        self.browser.item(self.browser.last, Kind.END)
        self.assertEqual(adding.over, "")
        for asked in ({"do": "remove", "id": "x"}, {"do": "remove"}, {"do": "x"}, {}):
            self.assertNotIn(self.browser.open(**asked).over, (None, ""))
        self.assertEqual(self.passkeys.all, {})
