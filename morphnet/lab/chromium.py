"""A real Chromium without a window, driven by its DevTools protocol over two pipes."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import time
from pathlib import Path
from typing import Any

from morphnet.lab.box import BoxNode

CHROMIUM = shutil.which("chromium")
POINTS, POINT_WITHIN = 10, 3.0  # times that a frame is clicked, seconds until it has the keyboard
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--mute-audio"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--ignore-certificate-errors", "--remote-debugging-pipe", "--window-size=1000,700"),
)


_LISTEN: list[tuple[str, dict[str, Any]]] = [(f"{domain}.enable", {}) for domain in ("Runtime", "Network", "Log")]


class Trouble(AssertionError):
    """The page, or the browser, did not do what it was told."""


class Chromium:
    """
    One browser with one page, in a node of the lab.

    :param trusted: base64 of SHA-256 of a public key (SPKI) that a TURN server's certificate may have: the flag that
        lets any web server pass does not count for those.
    """

    def __init__(self, node: BoxNode, profile: Path, trusted: str = "") -> None:
        profile.mkdir()
        to, back = profile / "to", profile / "back"
        os.mkfifo(to)
        os.mkfifo(back)
        (profile / "tmp").mkdir()  # what it leaves behind there goes with the node
        argv = ["env", f"TMPDIR={profile / 'tmp'}", str(CHROMIUM), *_FLAGS, f"--user-data-dir={profile}"]
        argv += [f"--ignore-certificate-errors-spki-list={trusted}", "about:blank"] if trusted else ["about:blank"]
        # It reads commands from descriptor 3 and writes to 4.
        shell = ["sh", "-c", f'exec "$@" 3<"{to}" 4>"{back}"', "sh", *argv]
        self._log = open(profile / "log", "wb")  # noqa: SIM115  # as long as the browser
        self.process = node.popen(shell, stdout=self._log, stderr=self._log)
        self._to = os.open(to, os.O_RDWR)  # so that opening waits for nobody
        self._from = os.open(back, os.O_RDONLY)
        self._buffer = b""
        self._number = 0
        self.console: list[str] = []  # what the page complains of
        self.requests: list[str] = []  # addresses that it asked for
        self._asked: dict[str, str] = {}
        self.received = 0  # bytes of what it was given for that
        self._frames: dict[str, str] = {}  # sessions of frames that have no origin, by their targets
        self._look: list[tuple[str, dict[str, Any]]] = []  # what a frame is told of the window
        targets = self._ask("Target.getTargets")["targetInfos"]
        page = next(each["targetId"] for each in targets if each["type"] == "page")
        self._session = self._ask("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")
        self.ask("Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=False, flatten=True)

    def _read(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise Trouble("the browser does not answer")
            data = os.read(self._from, 1 << 20)
            if not data:
                raise Trouble("the browser is gone")
            self._buffer += data
        message, self._buffer = self._buffer.split(b"\0", 1)
        told: dict[str, Any] = json.loads(message)
        return told

    def _say(self, method: str, session: str, fields: dict[str, Any]) -> int:
        self._number += 1
        asked = {"id": self._number, "method": method, "params": fields}
        if session:
            asked["sessionId"] = session
        os.write(self._to, json.dumps(asked).encode() + b"\0")
        return self._number

    def _ask(self, method: str, session: str = "", within: float = 30.0, **fields: Any) -> dict[str, Any]:
        number = self._say(method, session, fields)
        until = time.monotonic() + within
        while True:
            told = self._read(until)
            if told.get("id") == number:
                if "error" in told:
                    raise Trouble(f"{method}: {told['error']}")
                result: dict[str, Any] = told["result"]
                return result
            self._happened(told)

    def _happened(self, told: dict[str, Any]) -> None:
        fields = told.get("params", {})
        if told.get("method") == "Runtime.exceptionThrown":
            self.console.append(json.dumps(fields["exceptionDetails"])[:600])
        elif told.get("method") == "Log.entryAdded" and fields["entry"]["level"] == "error":
            self.console.append(f"{fields['entry']['text']} {fields['entry'].get('url', '')}")
        elif told.get("method") == "Network.requestWillBeSent":
            self._asked[fields["requestId"]] = fields["request"]["url"]
            self.requests.append(fields["request"]["url"])
        elif told.get("method") == "Network.loadingFailed" and fields.get("blockedReason") == "csp":
            self.requests.remove(self._asked[fields["requestId"]])  # it was never sent
        elif told.get("method") == "Network.loadingFinished":
            self.received += int(fields["encodedDataLength"])
        elif told.get("method") == "Target.attachedToTarget":
            if fields["targetInfo"]["type"] == "iframe":  # a worker has no window
                self._frames[fields["targetInfo"]["targetId"]] = fields["sessionId"]
            for method, more in [*_LISTEN, *self._look]:
                self._say(method, fields["sessionId"], more)
        elif told.get("method") == "Target.detachedFromTarget":
            self._frames = {name: each for name, each in self._frames.items() if each != fields["sessionId"]}

    def ask(self, method: str, within: float = 30.0, **fields: Any) -> dict[str, Any]:
        """One command to the page."""
        return self._ask(method, self._session, within, **fields)

    def ask_browser(self, method: str, within: float = 30.0, **fields: Any) -> dict[str, Any]:
        """One command to the browser itself."""
        return self._ask(method, "", within, **fields)

    def go(self, address: str) -> None:
        """Open this page."""
        self.ask("Page.navigate", url=address)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def _frame(self, path: str) -> str:
        """The session of the frame that shows what has this path."""
        for each in self._ask("Target.getTargets")["targetInfos"]:
            if each["url"].endswith(path) and each["targetId"] in self._frames:
                return self._frames[each["targetId"]]
        return ""

    def run(self, script: str, within: float = 30.0, frame: str = "") -> Any:
        """
        What an expression is, once its promise is kept.

        :param frame: the path of what a frame shows; the page itself without one.
        """
        session = self._frame(frame) if frame else self._session
        if not session:
            raise Trouble(f"there is no frame with {frame}")
        words = {"expression": script, "awaitPromise": True, "returnByValue": True}
        done = self._ask("Runtime.evaluate", session, within, **words)
        if "exceptionDetails" in done:
            raise Trouble(json.dumps(done["exceptionDetails"])[:800])
        return done["result"].get("value")

    def until(self, script: str, within: float = 30.0, frame: str = "") -> Any:
        """Wait for an expression to be true, in a frame that may not be there yet; what it is then."""
        end = time.monotonic() + within
        if frame:
            script = f"document.readyState === 'complete' && ({script})"
        while True:
            found = self.run(script, within, frame) if not frame or self._frame(frame) else None
            if found:
                return found
            if time.monotonic() > end:
                raise Trouble(f"not within {within} s: {script}; {self.console[-3:]}")
            time.sleep(0.05)

    def key(self, name: str, code: int = 0, text: str = "") -> None:
        """
        One key, to whatever has the focus.

        :param code: of the key on a keyboard of Windows; that of the letter `name` without one.
        """
        letter = name if len(name) == 1 else ""
        words: dict[str, Any] = {"key": name, "code": f"Key{name.upper()}" if letter else name, "text": text or letter}
        for kind in ("keyDown", "keyUp"):
            where = code or ord(name.upper())
            self.ask("Input.dispatchKeyEvent", type=kind, windowsVirtualKeyCode=where, **words)
            words.pop("text", None)

    def type(self, text: str) -> None:
        """Keys, to whatever has the focus."""
        for line in text.splitlines(keepends=True):
            if line.rstrip("\n"):
                self.ask("Input.insertText", text=line.rstrip("\n"))
            if line.endswith("\n"):
                self.key("Enter", 13, "\r")

    def click(self, selector: str) -> None:
        """Press what that selects."""
        self.until(f"document.querySelector({json.dumps(selector)}) !== null")
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def point(self, selector: str) -> None:
        """
        Press the mouse in the middle of a frame, which has the keyboard then.

        :raises Trouble: it has not.
        """
        frame = f"document.querySelector({json.dumps(selector)})"
        for _ in range(POINTS):
            found = json.loads(self.run(f"JSON.stringify({frame}.getBoundingClientRect())"))
            x, y = found["x"] + found["width"] / 2, found["y"] + found["height"] / 2
            for kind in ("mousePressed", "mouseReleased"):
                self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
            with contextlib.suppress(Trouble):  # a frame that was not drawn yet is not hit
                self.until(f"document.activeElement === {frame}", POINT_WITHIN)
                return
        raise Trouble(f"{selector} does not take the keyboard")

    def downloads_to(self, directory: Path) -> None:
        """Where it puts downloads."""
        directory.mkdir()
        self._ask("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(directory))

    def permit(self, name: str, setting: str, origin: str) -> None:
        """A permission of a site: "granted", "denied" or "prompt"."""
        self._ask("Browser.setPermission", permission={"name": name}, setting=setting, origin=origin)

    def window(self, width: int, height: int, *, phone: bool = False, dark: bool = False) -> None:
        """Have a window of this size, or be a phone."""
        scale = 2 if phone else 1
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._look = [
            ("Emulation.setTouchEmulationEnabled", {"enabled": phone}),
            ("Emulation.setEmulatedMedia", {"features": [scheme]}),
        ]
        for session in (self._session, *self._frames.values()):
            for method, fields in self._look:
                self._ask(method, session, **fields)

    def picture(self, path: Path) -> None:
        """What it shows."""
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot")["data"]))

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(10)
        for pipe in (self._to, self._from):
            os.close(pipe)
        self._log.close()
