"""
A home without a coordinator, on this machine: the page's own modules in a real Chromium, files, and a make of WebRTC.

    python -m tests.net.rtc_here MAKE DIRECTORY

serves them on loopback, and prints the port. Offers are POSTed to /offer; /pids lists the home's process, the one that
connections fork from, and those that hold one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from twisted.web.static import Data

from morphnet.lab.box import BoxNode
from morphnet.lab.chromium import Chromium
from morphnet.net.rtc import RtcDoor
from morphnet.roles.coordinator.pages import Page, read_pages
from morphnet.roles.home.beneath import Beneath
from morphnet.roles.home.services.files import Files
from morphnet.roles.home.services.shells import shell_of
from morphnet.roles.home.services.terminal import Terminals
from morphnet.roles.home.visits import Service, Visits
from tests.roles.here import Here

# What the page does at a login, without one; `connect` goes on over another connection.
_CONNECT = """
(async () => {
  const { Session } = await import('/streams.js'), { upload, download } = await import('/transfers.js');
  const { gathered, opened } = await import('/introduction.js');
  window.session = new Session();
  window.connect = async () => {
    const peer = new RTCPeerConnection(), channel = peer.createDataChannel('morphnet');
    channel.binaryType = 'arraybuffer';
    channel.early = [];
    channel.onmessage = ({ data }) => channel.early.push(data);
    await peer.setLocalDescription(await peer.createOffer());
    await gathered(peer, false);
    const answer = await fetch('/offer', { method: 'POST', body: peer.localDescription.sdp });
    await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
    await opened(peer, channel, 15000, null);
    const before = window.peer;
    window.peer = peer;
    session.attach(channel);
    before?.close();
  };
  const hash = async (bytes) => Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)),
    (byte) => byte.toString(16).padStart(2, '0')).join('');
  window.down = async (name) => {
    const pieces = [];
    await download(session, name, (piece) => { pieces.push(piece); }, (at) => { window.at = at; });
    return hash(await new Blob(pieces).arrayBuffer());
  };
  window.up = async (name, size) => {
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size; at += 65536) crypto.getRandomValues(bytes.subarray(at, Math.min(at + 65536, size)));
    await upload(session, name, new File([bytes], name, { lastModified: 1 }), (at) => { window.at = at; });
    return hash(bytes);
  };
  await connect();
})()
"""


class _Offer(Resource):
    isLeaf = True

    def __init__(self, door: RtcDoor, visits: Visits) -> None:
        super().__init__()
        self._door, self._visits = door, visits

    def render_POST(self, request: Any) -> int:
        def answered(sdp: str) -> None:
            request.write(sdp.encode())
            request.finish()

        def failed(failure: Failure) -> None:
            request.setResponseCode(500)
            request.finish()

        offer = request.content.read().decode()
        answering = Deferred.fromCoroutine(self._door.answer(offer, self._visits.of("browser")))
        answering.addCallbacks(answered, failed)
        return NOT_DONE_YET


class _Pages(Resource):
    """All that a coordinator gives out, with what it tells browsers of it."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self._pages: dict[str, Page] = read_pages()

    def render_GET(self, request: Any) -> bytes:
        page = self._pages.get(request.path.decode())
        if page is None:
            request.setResponseCode(404)
            return b""
        for name, value in page.headers.items():
            request.setHeader(name, value)
        return page.body


class _Root(Resource):
    def __init__(self) -> None:
        super().__init__()
        self._pages = _Pages()

    def getChild(self, path: bytes, request: Any) -> Resource:
        return self._pages


class _Pids(Resource):
    isLeaf = True

    def __init__(self, door: RtcDoor) -> None:
        super().__init__()
        self._door = door

    def render_GET(self, request: Any) -> bytes:
        return json.dumps([os.getpid(), *self._door.pids]).encode()


def serve(make: str, directory: Path) -> None:
    """Until it is killed."""
    threads = ThreadPool(0, 4, "files")
    threads.start()
    running: Any = reactor
    files = Files(Beneath(directory), partial(deferToThreadPool, running, threads), writable=True)
    services: dict[str, Service] = {"files": files, "terminal": Terminals(shell_of(running, "", os.environ))}
    door, visits = RtcDoor(make, (), reactor), Visits(running, services, lambda session: None)
    root = _Root()
    for name, served in (
        (b"offer", _Offer(door, visits)),
        (b"pids", _Pids(door)),
        (b"blank", Data(b"<!doctype html><title>home</title><link rel=icon href=data:,>", "text/html")),
    ):
        root.putChild(name, served)
    print(running.listenTCP(0, Site(root), interface="127.0.0.1").getHost().port, flush=True)
    running.run()


class HomeHere:
    """
    That home and a browser that is connected to it.

    :ivar share: the directory with its files.
    """

    def __init__(self, make: str, page: str = "/blank") -> None:
        """:param page: `/` for the one that a coordinator gives out, with its policy."""
        self._here = Here()
        self.share = Path(self._here.dir) / "share"
        self.share.mkdir()
        argv = [sys.executable, "-m", "tests.net.rtc_here", make, str(self.share)]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self._home = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env)
        self.browser: Chromium | None = None
        try:
            assert self._home.stdout is not None
            self._at = f"http://127.0.0.1:{int(self._home.stdout.readline())}"
            self.browser = Chromium(cast("BoxNode", self._here), Path(self._here.dir) / "profile")
            self.browser.go(f"{self._at}{page}")
            self.browser.run(_CONNECT, 60.0)
        except BaseException:
            self.stop()
            raise

    @property
    def pids(self) -> list[int]:
        """Of the home, of the process that connections fork from, and of those that hold one."""
        with urllib.request.urlopen(f"{self._at}/pids") as answer:
            pids: list[int] = json.load(answer)
            return pids

    def run(self, script: str, within: float = 30.0) -> Any:
        """In the page."""
        assert self.browser is not None
        return self.browser.run(script, within)

    def until(self, script: str, within: float = 30.0) -> Any:
        """In the page."""
        assert self.browser is not None
        return self.browser.until(script, within)

    def stop(self) -> None:
        """End both."""
        if self.browser is not None:
            self.browser.stop()
        self._home.kill()
        self._home.wait()
        if self._home.stdout is not None:
            self._home.stdout.close()
        shutil.rmtree(self._here.dir, ignore_errors=True)


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]))
