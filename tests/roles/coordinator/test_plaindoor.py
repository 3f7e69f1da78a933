"""What is said without TLS."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.coordinator.plaindoor import MOST, WHERE, PlainDoor


class Asked:
    """A request, and its answer in `said`."""

    def __init__(self, target: str, host: str = "", verb: str = "GET") -> None:
        self.target, self.location, self.verb = target, target.partition("?")[0], verb
        self.headers = {"host": host}
        self.said: tuple[Any, ...] = ()

    def answer(self, *said: Any) -> None:
        self.said = said


class PlainDoorTests(SynchronousTestCase):
    def said(self, door: PlainDoor, *asked: str) -> tuple[Any, ...]:
        request: Any = Asked(*asked)
        self.successResultOf(Deferred.fromCoroutine(door.answer(request)))
        return tuple(request.said)

    def test_challenge(self) -> None:
        """A CA finds what was shown, and nothing else; what was shown long ago is forgotten."""
        door = PlainDoor(("home.example.org",), 443)
        door.show("token", b"token.thumb")
        self.assertEqual(self.said(door, WHERE + "token")[::2], (200, b"token.thumb"))
        self.assertEqual(self.said(door, WHERE + "other")[0], 404)
        self.assertEqual(self.said(door, WHERE + "token", "", "POST")[0], 405)
        for number in range(MOST):
            door.show(str(number), b"x")
        self.assertEqual(self.said(door, WHERE + "token")[0], 404)
        self.assertEqual(self.said(door, f"{WHERE}{MOST - 1}")[0], 200)

    def test_elsewhere(self) -> None:
        """Everything else is at the page, of the name that was asked for if it is ours, and of no other host."""
        door = PlainDoor(("home.example.org", "other.example.org"), 8443)
        for target, host, there in (
            ("/?a=b", "other.example.org", "https://other.example.org:8443/?a=b"),
            ("/", "evil.example", "https://home.example.org:8443/"),
            ("//evil.example/", "", "https://home.example.org:8443//evil.example/"),
            ("http://evil.example/", "", "https://home.example.org:8443/"),
            ("@evil.example/", "", "https://home.example.org:8443/"),
        ):
            self.assertEqual(self.said(door, target, host), (308, {"Location": there}))
        self.assertEqual(self.said(PlainDoor(("a.example",), 443), "/x")[1], {"Location": "https://a.example/x"})
