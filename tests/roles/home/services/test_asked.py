"""Whatever a browser asks of any service: it is done or refused, and nothing is reached that no setting names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.home.passkeys import Passkeys
from morphnet.roles.home.services.passkeys import PasskeyService
from morphnet.roles.home.services.tcp import Tcp
from morphnet.roles.home.services.web import Web
from morphnet.wire.messages.home.frames import Kind
from tests.rendezvous.home.browser import Browser

WORDS = ("do", "name", "method", "path", "type", "cookie", "authorization", "id", "place", "made")
VALUES = ("list", "add", "remove", "console", "router", "GET", "POST", "/", "/x", "//h/", "\ud800", "h:1")
ANY = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(VALUES)
ASKED = st.dictionaries(st.sampled_from(WORDS), ANY | st.lists(ANY, max_size=3) | st.dictionaries(st.text(), ANY))


class AskedTests(SynchronousTestCase):
    @given(ASKED, ASKED)
    def test_anything(self, asked: dict[str, Any], said: dict[str, Any]) -> None:
        """Each service, and what is said to it after that."""
        reached: set[str] = set()
        directory = Path(self.mktemp())
        directory.mkdir()
        world: Any = _World(reached)
        services = (
            Tcp("tcp", {"console": "10.0.0.1:23"}, world),
            Web({"router": "http://10.0.0.2/"}, world, Clock()),
            PasskeyService(Passkeys(directory, "https://c.example"), "home", bytes),
        )
        for service in services:
            browser = Browser(Clock(), service.opened)
            browser.open(**asked)
            browser.item(browser.last, Kind.SAID, json.dumps(said).encode())
            browser.item(browser.last, Kind.BYTES, b"x")
            browser.item(browser.last, Kind.END)
            browser.item(browser.last, Kind.RESET)
            service.close()
        self.assertLessEqual(reached, {"10.0.0.1:23", "http://10.0.0.2"})


class _World:
    """In the place of endpoints and of what asks."""

    def __init__(self, reached: set[str]) -> None:
        self._reached = reached

    def __call__(self, place: str) -> _World:
        self._reached.add(place)
        return self

    def connect(self, factory: object) -> Deferred[Any]:
        return Deferred(lambda done: None)

    def request(self, method: bytes, url: bytes, headers: object, body: object) -> Deferred[Any]:
        self._reached.add("/".join(url.decode().split("/")[:3]))
        return Deferred(lambda done: None)
