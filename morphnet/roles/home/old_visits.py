"""
Browsers of the original HomeChannel at this home: a list of apps, and the files app, over several data channels.

Source: docs/homechannel sections 4 and 5.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from morphnet.errors import ConfigError, MalformedFrame, PeerError, Refused
from morphnet.legacy.homechannel import apps
from morphnet.legacy.homechannel.boxes import read_object
from morphnet.net.rtc import Channel
from morphnet.net.rtc_frames import BINARY, OPENED, TEXT
from morphnet.roles.home.old_files import OldFiles, OldUpload

Work = Callable[..., "Deferred[Any]"]
MOST_WAITING = 64  # frames of one channel that were not dealt with: an upload has no window, and is held by its socket
_OPERATIONS = frozenset(
    {"listDirectory", "readFile", "writeFile", "deleteFile", "createDirectory", "deleteDirectory", "getFileInfo"}
)


@dataclass(frozen=True, slots=True)
class AppFiles:
    """The files app as it comes with the original: what it is, and its part for the browser."""

    manifest: Mapping[str, Any]
    bundle: str

    @classmethod
    def read(cls, directory: Path) -> AppFiles:
        """
        From `manifest.json` and what that names as its `entry`.

        :raises ConfigError: they are not there.
        """
        try:
            manifest = json.loads((directory / "manifest.json").read_text())
            known = {name: manifest.get(name, "") for name in ("name", "version", "description", "format", "entry")}
            return cls(known, (directory / str(manifest["entry"])).read_text())
        except (OSError, ValueError, LookupError, AttributeError):
            raise ConfigError(f"{directory} holds no app of HomeChannel: manifest.json and its entry") from None


@implementer(IPushProducer)
class _Gate:
    """Holds who writes while the browser is slow."""

    def __init__(self) -> None:
        self._open, self._waiting = True, list[Deferred[None]]()

    def resumeProducing(self) -> None:
        self._open = True
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    def pauseProducing(self) -> None:
        self._open = False

    def stopProducing(self) -> None:
        self.resumeProducing()

    async def room(self) -> None:
        """Wait until more may be said."""
        if not self._open:
            turn: Deferred[None] = Deferred()
            self._waiting.append(turn)
            await turn


class _App:
    """One channel of the files app."""

    _log = Logger()

    def __init__(self, channel: Channel, number: int, gate: _Gate, files: OldFiles, work: Work) -> None:
        self._channel, self._number, self._gate, self._files, self._work = channel, number, gate, files, work
        self._wire: Any = channel.transport
        self._held = False
        self._waiting: list[tuple[int, bytes]] = []
        self._busy = self._over = False
        self._upload: OldUpload | None = None
        self._uploading: object = None  # its request
        self._cancelled: set[str] = set()

    def tell(self, kind: int, payload: bytes | dict[str, Any]) -> None:
        if not self._over:
            self._channel.send(bytes((self._number, BINARY)) + apps.frame(kind, payload))

    def take(self, message: bytes) -> None:
        """
        What the browser has said, in its order.

        :raises MalformedFrame: it makes no sense.
        """
        for kind, payload in apps.frames(message):
            if kind == apps.CANCEL:
                self._cancelled.add(str(read_object(payload).get("requestId")))  # a file that is being read
            self._waiting.append((kind, payload))
        if len(self._waiting) > MOST_WAITING and not self._held:
            self._held = True
            self._wire.pauseProducing()
        if not self._busy:
            self._busy = True
            Deferred.fromCoroutine(self._deal()).addErrback(lambda why: self._log.failure("an old browser", why))

    async def _deal(self) -> None:
        try:
            while self._waiting and not self._over:
                kind, payload = self._waiting.pop(0)
                self._let_go()
                await self._dealt(kind, payload)
        finally:
            self._busy = False
            if self._over:
                self._drop()

    def _drop(self) -> None:
        """What was on its way here will not be whole."""
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.drop()

    def _let_go(self) -> None:
        if self._held and len(self._waiting) <= MOST_WAITING // 2:
            self._held = False
            self._wire.resumeProducing()

    async def _dealt(self, kind: int, payload: bytes) -> None:
        request: object = None
        try:
            if kind == apps.CHUNK:
                if self._upload is not None:
                    await self._work(self._upload.write, payload)
                return
            asked = read_object(payload)
            request = asked.get("requestId")
            if kind == apps.CANCEL:
                self._cancel(str(request))
            elif kind == apps.END:
                await self._end()
            else:
                await self._asked(request, asked)
        except Refused as no:
            told = request if request is not None else self._uploading
            if kind == apps.CHUNK:
                self._upload = None  # it has dropped itself
            self.tell(apps.JSON, {"requestId": told, "success": False, "error": no.reason})
        except MalformedFrame:
            self.tell(apps.JSON, {"requestId": request, "success": False, "error": "Invalid request"})

    async def _asked(self, request: object, asked: dict[str, Any]) -> None:
        operation, params = asked.get("operation"), asked.get("params")
        if request is None or operation not in _OPERATIONS:
            raise Refused("Missing requestId" if request is None else f"Unknown operation: {str(operation)[:40]}")
        params = params if isinstance(params, dict) else {}
        if operation == "readFile":
            await self._read(request, params)
        elif operation == "writeFile" and "content" not in params and isinstance(params.get("size"), int):
            if self._upload is not None:
                raise Refused("Another upload is in progress")
            path = self._files.path(params)
            self._upload = await self._work(self._files.upload, path, params["size"])
            self._uploading = request
            self.tell(apps.JSON, {"requestId": request, "uploading": True})
        else:
            result = await self._work(self._files.run, str(operation), params)
            self.tell(apps.JSON, {"requestId": request, "success": True, "result": result})

    def _cancel(self, request: str) -> None:
        self._cancelled.discard(request)
        if self._upload is not None and str(self._uploading) == request:
            self._drop()

    async def _end(self) -> None:
        upload, request = self._upload, self._uploading
        if upload is None:
            return
        self._upload = None
        result = await self._work(upload.end)
        self.tell(apps.JSON, {"requestId": request, "success": True, "result": result})
        self.tell(apps.JSON, {"type": "upload:done", "requestId": request, "result": result})  # the original's UI waits

    async def _read(self, request: object, params: dict[str, Any]) -> None:
        opened, size, kind = await self._work(self._files.open, self._files.path(params))
        try:
            about = {"size": size, "mimeType": kind}
            self.tell(apps.JSON, {"requestId": request, "streaming": True, "result": about})
            sent = 0
            while not self._over and str(request) not in self._cancelled:
                data = await self._work(os.read, opened, apps.PIECE)
                if not data:
                    break
                self.tell(apps.CHUNK, data)
                sent += len(data)
                await self._gate.room()
            self.tell(apps.END, {"requestId": request, "size": sent})
        finally:
            os.close(opened)

    def close(self) -> None:
        """The browser has gone. A thread that is at work ends first: it has the file of an upload, or opens one."""
        self._over = True
        self._waiting.clear()
        self._let_go()
        if not self._busy:
            self._drop()


class OldVisit:
    """One browser's connection: takes what its channels bring."""

    def __init__(self, app: AppFiles, files: OldFiles, work: Work, told: Callable[[str], None]) -> None:
        self._app, self._files, self._work, self._told = app, files, work, told
        self._gate = _Gate()
        self._controls: set[int] = set()
        self._apps: dict[int, _App] = {}

    def opened(self, channel: Channel) -> None:
        """The first of its channels is open."""
        wire: Any = channel.transport
        wire.registerProducer(self._gate, True)
        self._told("an old browser is connected")

    def message(self, channel: Channel, data: bytes) -> None:
        """Something of one of its channels; what makes no sense ends the connection."""
        number, kind, said = data[0], data[1], data[2:]
        try:
            if kind == OPENED:
                self._open(channel, number, said.decode("utf-8", "replace"))
            elif kind not in (TEXT, BINARY):
                self._closed(number)
            elif number in self._controls:
                answer = apps.control(said, [dict(self._app.manifest)])
                channel.send(bytes((number, TEXT)) + answer.encode())
            elif number in self._apps:
                self._apps[number].take(said)
        except PeerError:
            channel.close()

    def _open(self, channel: Channel, number: int, label: str) -> None:
        if label == apps.CONTROL:
            self._controls.add(number)
        elif label == self._app.manifest["name"]:
            app = self._apps[number] = _App(channel, number, self._gate, self._files, self._work)
            shown = {name: self._app.manifest[name] for name in ("name", "version", "format")}
            app.tell(apps.JSON, {"type": "app:bundle", **shown, "bundle": self._app.bundle})
            self._told("files: an old browser looks at them")

    def _closed(self, number: int) -> None:
        self._controls.discard(number)
        app = self._apps.pop(number, None)
        if app is not None:
            app.close()

    def closed(self, channel: Channel) -> None:
        """All of them are gone."""
        for number in list(self._apps):
            self._closed(number)
        self._gate.resumeProducing()
