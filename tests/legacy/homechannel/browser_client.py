"""
The original's browser client with its data channels, made anew from what is known of its bytes; nothing of `morphnet`
is in here.

    python -m tests.legacy.homechannel.browser_client COORDINATOR SERVER PASSWORD DIRECTORY

logs in, looks at the files, downloads one and uploads one, and prints what came of it as one JSON object.

Source: docs/homechannel.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import struct
import sys
import time
import urllib.request
from typing import Any

from aiortc import RTCPeerConnection, RTCSessionDescription

from tests.legacy.homechannel.original import OriginalBrowser

UPLOAD = bytes(range(256)) * 800


class App:
    """The channel of one app, and what came in it."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        self.came: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()
        channel.on("message", self._message)

    def _message(self, data: bytes) -> None:
        while data:
            kind, size = struct.unpack_from("!BI", data)
            self.came.put_nowait((kind, data[5 : 5 + size]))
            data = data[5 + size :]

    def say(self, kind: int, payload: bytes | dict[str, Any]) -> None:
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.channel.send(struct.pack("!BI", kind, len(raw)) + raw)

    async def told(self) -> Any:
        kind, payload = await asyncio.wait_for(self.came.get(), 20)
        assert kind == 1, kind
        return json.loads(payload)

    async def ask(self, operation: str, **params: object) -> Any:
        self.say(1, {"requestId": operation, "operation": operation, "params": params})
        told = await self.told()
        assert told["requestId"] == operation
        return told["result"] if told.get("success") else told.get("error", told)


async def connected(browser: OriginalBrowser) -> tuple[Any, dict[str, Any]]:
    """A connection, and its channels, which are open."""
    peer = RTCPeerConnection()
    channels: dict[str, Any] = {
        label: peer.createDataChannel(label) for label in ("homechannel", "apps-control", "files")
    }
    channels["app"] = App(channels["files"])
    await peer.setLocalDescription(await peer.createOffer())
    offer = {"sdp": {"type": "offer", "sdp": peer.localDescription.sdp}, "candidates": []}
    status, told = await asyncio.to_thread(browser.connect, offer, int(time.time() * 1000))
    assert status == 200, told
    for _ in range(60):
        status, answer = await asyncio.to_thread(browser.poll, told["sessionId"])
        if not answer.get("waiting"):
            break
        await asyncio.sleep(0.5)
    payload = browser.verified(answer)
    await peer.setRemoteDescription(RTCSessionDescription(payload["sdp"]["sdp"], payload["sdp"]["type"]))
    return peer, channels


async def visit(coordinator: str, server: str, password: str, directory: str) -> dict[str, Any]:
    def post(path: str, value: object) -> tuple[int, Any]:
        request = urllib.request.Request(coordinator + path, json.dumps(value).encode())
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)

    found: dict[str, Any] = {}
    peer, channels = await connected(OriginalBrowser(post, server, password))
    app: App = channels["app"]
    bundle = await app.told()
    found["bundle"] = bundle
    listed: asyncio.Queue[str] = asyncio.Queue()
    channels["apps-control"].on("message", listed.put_nowait)
    channels["apps-control"].send(json.dumps({"type": "apps:list", "requestId": "r"}))
    found["apps"] = json.loads(await asyncio.wait_for(listed.get(), 20))
    found["items"] = await app.ask("listDirectory", path=directory)
    found["info"] = await app.ask("getFileInfo", path="/down.bin")
    found["outside"] = [await app.ask("listDirectory", path=path) for path in ("../..", "/leads-out")]
    found["inherited"] = await app.ask("toString")
    found["read"] = await read(app)
    found["upload"] = await upload(app)
    found["made"] = [await app.ask("createDirectory", path="/new"), await app.ask("deleteDirectory", path="/new")]
    await peer.close()
    return found


async def read(app: App) -> Any:
    app.say(1, {"requestId": "d", "operation": "readFile", "params": {"path": "/down.bin"}})
    about, content = await app.told(), b""
    while True:
        kind, payload = await asyncio.wait_for(app.came.get(), 20)
        if kind == 3:
            return [about, json.loads(payload), hashlib.sha256(content).hexdigest()]
        assert kind == 2 and len(payload) <= 65536
        content += payload


async def upload(app: App) -> Any:
    params = {"path": "/up.bin", "size": len(UPLOAD)}
    app.say(1, {"requestId": "u", "operation": "writeFile", "params": params})
    told = [await app.told()]
    for at in range(0, len(UPLOAD), 16384):
        app.say(2, UPLOAD[at : at + 16384])
    app.say(3, {"requestId": "u"})
    return [*told, await app.told(), await app.told()]


if __name__ == "__main__":
    print(json.dumps(asyncio.run(visit(*sys.argv[1:5]))))
