"""What the original's `/health` and `/metrics` say, in JSON, to whoever asks on loopback."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.web.http import NOT_FOUND, Request
from twisted.web.resource import Resource
from twisted.web.server import Site

from morphnet.errors import HostError

Picture = Callable[[], Mapping[str, object]]


class _Said(Resource):
    isLeaf = True

    def __init__(self, picture: Picture) -> None:
        super().__init__()
        self._picture = picture

    def render_GET(self, request: Request) -> bytes:
        request.setHeader(b"content-type", b"application/json")
        return json.dumps(self._picture()).encode() + b"\n"


class _Nothing(Resource):
    isLeaf = True

    def render(self, request: Request) -> bytes:
        request.setResponseCode(NOT_FOUND)
        return b""


class _Root(Resource):
    def __init__(self, health: Picture, metrics: Picture) -> None:
        super().__init__()
        self.putChild(b"health", _Said(health))
        self.putChild(b"metrics", _Said(metrics))

    def getChild(self, path: bytes, request: Request) -> Resource:
        return _Nothing()


def health_site(health: Picture, metrics: Picture) -> Site:
    """What serves the two."""
    return Site(_Root(health, metrics), timeout=10)


def listen(reactor: Any, host: str, port: int, site: Site) -> IListeningPort:
    """
    Serve it there.

    :raises HostError: the port is taken.
    """
    try:
        return cast("IListeningPort", reactor.listenTCP(port, site, interface=host))
    except CannotListenError as problem:
        raise HostError(f"cannot serve health at {host}:{port}: {problem.socketError.strerror}") from None
