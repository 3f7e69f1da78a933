"""Files that the page shows: a real Chromium, a real home, the policy of a coordinator, on loopback."""

from __future__ import annotations

import json
import os
import struct
import wave
import zlib
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.chromium import CHROMIUM, Chromium
from morphnet.net.rtc_make import MAKES, chosen
from tests.house import ROOT
from tests.net.rtc_here import HomeHere

FRAME = "/app/preview.html"
SHOWN = "document.getElementById('shown')"
NOTE = "document.querySelector('dialog [role=status]').textContent"
STORED = "navigator.storage.getDirectory().then((root) => Array.fromAsync(root.keys())).then((names) => names.length)"
AXE = (ROOT / "tests/lab/vendor/axe.min.js").read_text()
ENTER = """
(async () => {
  const { Files } = await import('/files.js');
  const place = document.getElementById('files');
  document.getElementById('login').hidden = true;
  place.hidden = false;
  window.ran = false;
  window.app = new Files(session, place);
  await app.show();
})()
"""
SVG = """<svg xmlns="http://www.w3.org/2000/svg" width="300" height="200" viewBox="0 0 300 200" onload="top.ran = true">
<script>top.ran = true; fetch('http://127.0.0.1:9/')</script><image href="http://127.0.0.1:9/x.png"/>
<rect width="300" height="200" fill="#2e8b57"/><circle cx="150" cy="100" r="70" fill="#fc0"/></svg>"""


def png(width: int, height: int) -> bytes:
    """A picture."""
    rows = b"".join(
        b"\0" + bytes((x * 255 // width, y * 255 // height, 120)[i] for x in range(width) for i in range(3))
        for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def pdf(pages: int) -> bytes:
    """A document, which has a script that wants to run when it is opened."""
    bodies = [
        "<< /Type /Catalog /Pages 2 0 R /OpenAction << /S /JavaScript /JS (top.ran = true;app.alert\\(1\\)) >> >>",
        f"<< /Type /Pages /Count {pages} /Kids [{' '.join(f'{4 + 2 * at} 0 R' for at in range(pages))}] >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for at in range(pages):
        drawn = f"0.18 0.55 0.34 rg 72 600 200 100 re f 0 g BT /F1 32 Tf 72 500 Td (Letter, page {at + 1}) Tj ET"
        bodies.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842]"
            f" /Resources << /Font << /F1 3 0 R >> >> /Contents {5 + 2 * at} 0 R >>"
        )
        bodies.append(f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream")
    text, places = "%PDF-1.4\n", []
    for number, body in enumerate(bodies, 1):
        places.append(len(text))
        text += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    text += f"xref\n0 {len(bodies) + 1}\n0000000000 65535 f \n{table}"
    start = text.rindex("xref\n")
    return (text + f"trailer\n<< /Size {len(bodies) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n").encode()


def sound(file: Path) -> None:
    """Ten minutes of it, which go to the disk as they come."""
    with wave.open(str(file), "wb") as written:
        written.setparams((1, 2, 8000, 4_800_000, "NONE", ""))
        written.writeframes(bytes(9_600_000))


class PreviewTests(SynchronousTestCase):
    skip = None if CHROMIUM else "no chromium here (Debian package chromium)"
    timeout = 60

    def setUp(self) -> None:
        make = next(each for each in ("wrtc", "aiortc") if each in MAKES and chosen(each))
        self.here = HomeHere(make, "/")
        self.addCleanup(self.here.stop)
        assert self.here.browser is not None
        self.browser: Chromium = self.here.browser

    def put(self, name: str, content: bytes) -> None:
        (self.here.share / name).write_bytes(content)

    def enter(self) -> None:
        self.browser.run(ENTER)

    def click(self, name: str) -> None:
        self.browser.run("document.querySelector('dialog')?.close(); 0")
        self.browser.until("document.querySelector('dialog') === null")
        self.browser.click(f"#files button[aria-label={json.dumps(name)}]")

    def shows(self, name: str) -> dict[str, Any]:
        """Open a file: what the frame says that it has drawn."""
        self.click(name)
        return self.shown()

    def shown(self) -> dict[str, Any]:
        self.browser.until("window.heard.length")
        found: dict[str, Any] = json.loads(self.browser.run("JSON.stringify(heard.shift())"))
        return found

    def listen(self) -> None:
        """Keep what frames say that they have drawn."""
        self.browser.run(
            "window.heard = []; addEventListener('message', ({ data }) => data.shown && heard.push(data.shown)); 0"
        )

    def key_in_frame(self, name: str, code: int) -> None:
        """Press a key that ends the frame, which has the keyboard: it may not be there when the key is let go."""
        self.browser.ask("Page.bringToFront")
        self.browser.until("document.hasFocus()", 10.0, FRAME)
        words: dict[str, Any] = {"key": name, "code": name, "windowsVirtualKeyCode": code}
        self.browser.ask("Input.dispatchKeyEvent", type="keyDown", **words)

    def note(self, name: str) -> str:
        """Open a file: what is said of it, once it is known."""
        self.click(name)
        self.browser.until("document.querySelector('dialog progress').hidden")
        return str(self.browser.run(NOTE))

    def axe(self, frame: str = "") -> list[Any]:
        self.browser.run(AXE + "; 0", frame=frame)
        found = self.browser.run(
            "axe.run(document, { iframes: false, preload: false }).then(({ violations }) =>"
            " violations.map(({ id, nodes }) => [id, ...nodes.map((each) => [each.target, each.any[0]?.message])]))",
            frame=frame,
        )
        return list(found)

    def picture(self, name: str) -> None:
        if place := os.environ.get("MORPHNET_SCREENSHOTS"):
            self.browser.picture(Path(place) / f"{name}.png")

    def test_kinds(self) -> None:
        """
        A picture, a drawing, a sound, a PDF, a page as text: each is drawn by the frame, nothing that is in one of them
        runs, and nobody is asked for anything.
        """
        self.put("photo.png", png(320, 200))
        self.put("drawing.svg", SVG.encode())
        self.put("letter.pdf", pdf(3))
        self.put("page.html", b"<h1>Hello</h1><script>top.ran = true</script><img src=http://127.0.0.1:9/y.png>")
        self.put("README", "Grüße\n".encode("utf-16"))
        sound(self.here.share / "song.wav")
        self.enter()
        self.listen()
        self.assertEqual(self.shows("photo.png"), {"width": 320, "height": 200})
        self.picture("picture")
        self.assertEqual(self.shows("drawing.svg"), {"width": 300, "height": 200})
        self.assertEqual(self.shows("song.wav")["seconds"], 600)
        self.assertEqual(self.browser.run(STORED), 1)
        self.assertEqual(self.shows("README"), {"characters": 6})
        self.assertEqual(self.shows("page.html"), {"characters": 79})
        self.picture("text")
        self.assertEqual(self.browser.run(f"{SHOWN}.querySelector('pre').children.length", frame=FRAME), 0)
        self.assertEqual(self.shows("letter.pdf"), {"pages": 3})
        self.picture("pdf")
        label = self.browser.until(
            f"{SHOWN}.children[0].ariaLabel.includes('Letter') && {SHOWN}.children[0].ariaLabel", frame=FRAME
        )
        self.assertEqual(label, "Page 1 of 3: Letter, page 1")
        data = f"[...{SHOWN}.children[0].getContext('2d').getImageData(CANVAS, 1, 1).data]"
        where = f"{SHOWN}.children[0].width * 100 / 595, {SHOWN}.children[0].height * 200 / 842"
        self.assertEqual(self.browser.run(data.replace("CANVAS", where), frame=FRAME)[:3], [46, 140, 87])
        self.assertEqual([self.browser.run("window.ran"), self.browser.run(STORED)], [False, 0])
        hosts = {each.split("/")[2] for each in self.browser.requests if each.startswith("http")}
        self.assertEqual(len(hosts), 1, hosts)
        self.assertEqual(self.browser.console, [])

    def test_bounds(self) -> None:
        """Of a long text the beginning comes; what is no text, no picture or too large is said to be, and not shown."""
        self.put("long.log", b"0123456789abcde\n" * (3 << 16))
        self.put("core", bytes(5000))
        self.put("broken.png", b"no picture")
        self.put("broken.pdf", b"no pdf")
        with (self.here.share / "vast.png").open("wb") as vast:
            vast.truncate((64 << 20) + 1)
        self.enter()
        self.listen()
        self.assertEqual(self.shows("long.log"), {"characters": 1 << 20})
        self.assertEqual(self.browser.run(NOTE), "The first 1.0 MiB of 3.0 MiB")
        for name, why in (
            ("core", "it is no text"),
            ("broken.png", "this browser cannot read it"),
            ("broken.pdf", "it is no PDF that can be read (Invalid PDF structure.)"),
        ):
            self.click(name)
            self.browser.until(f"{NOTE}.includes('cannot')")
            self.assertEqual(self.browser.run(NOTE), f"It cannot be shown: {why}.")
        before = self.browser.run("session.expected")
        self.assertEqual(self.note("vast.png"), "It cannot be shown: it has more than 64 MiB, and can be downloaded.")
        self.assertEqual(self.browser.run("session.expected"), before)
        self.assertEqual(self.browser.run("session.streams.size"), 0)
        for name in ("notes.constructor", "notes.__proto__"):  # of every object in JavaScript
            self.assertIsNone(self.browser.run(f"import('/preview.js').then(({{ kindOf }}) => kindOf('{name}'))"), name)

    def test_keys(self) -> None:
        """
        By the keyboard alone: Enter opens, arrows lead to the next picture, Escape closes, also in the frame, and one
        is where one was. Closed in the middle, it comes no further, and nothing of it stays. axe-core finds nothing.
        """
        self.put("a.png", png(40, 30))
        self.put("b.png", png(50, 30))
        with (self.here.share / "c.mp4").open("wb") as film:
            film.truncate(200 << 20)
        self.enter()
        self.listen()
        for phone in (False, True):
            self.browser.window(*((390, 844) if phone else (1000, 700)), phone=phone, dark=phone)
            self.browser.run("document.querySelector('[aria-label=\"a.png\"]').focus()")
            self.browser.key("Enter", 13, "\r")
            self.assertEqual(self.shown()["width"], 40)
            self.assertEqual([self.axe(), self.axe(FRAME)], [[], []])
            self.assertLessEqual(self.browser.run("document.documentElement.scrollWidth"), 1000 if not phone else 390)
            self.picture(f"phone-{phone}")
            self.key_in_frame("ArrowRight", 39)
            self.assertEqual(self.shown()["width"], 50)
            self.key_in_frame("Escape", 27)
            self.browser.until("document.querySelector('dialog') === null")
            self.assertEqual(self.browser.run("document.activeElement.ariaLabel"), "a.png")
        self.click("c.mp4")
        self.browser.until("document.querySelector('dialog progress').value > 0.01")
        self.browser.key("Escape", 27)
        self.browser.until("document.querySelector('dialog') === null && session.streams.size === 0")
        self.browser.until(f"{STORED}.then((stored) => stored === 0)")
        self.assertEqual(self.browser.console, [])
