"""
Machines at home: a router's web pages at port 8001, and a console that speaks in lines at port 8002.

    python -m tests.lab.machines
"""

from __future__ import annotations

import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FIRST = """<!doctype html><html><head><title>Router</title><link rel="stylesheet" href="style.css"><base href="/panel/">
<script src="https://203.0.113.99/away.js"></script><script>document.title = 'it runs'</script></head>
<body background="https://203.0.113.99/b.png" onload="document.title = 'it runs'"><h1 onclick="x()">Router</h1>
<img src="up.svg" alt="It is up" width="100" height="50"><img src="https://203.0.113.99/pixel.png" alt="">
<p><a href="status">Status</a> <a href="https://203.0.113.99/away">Away</a>
<a href="javascript:document.title='x'">Run</a></p>
<form action="save" method="post"><label>Name <input name="name" value="attic &amp; roof"></label><button>Save</button>
</form><iframe src="https://203.0.113.99/frame"></iframe></body></html>"""
STYLE = "h1 { color: rgb(1, 100, 50) } p { background: url(https://203.0.113.99/css.png) }"
PICTURE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="100" height="50"><rect width="100" height="50" fill="teal"/></svg>'
)


class Router(BaseHTTPRequestHandler):
    """Pages made by a machine."""

    def log_message(self, *args: object) -> None:
        """It keeps no log."""

    def do_GET(self) -> None:
        status = f"<title>Status</title><p id=cookie>{self.headers.get('Cookie')}</p>"
        kinds = {
            "/panel/": ("text/html", FIRST),
            "/panel/style.css": ("text/css", STYLE),
            "/panel/up.svg": ("image/svg+xml", PICTURE),
            "/panel/status": ("text/html", status),
        }
        kind, text = kinds.get(self.path, ("text/plain", ""))
        self._answer(200 if text else 404, text, **{"Content-Type": kind})

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._answer(303, "", Location="/panel/status", **{"Set-Cookie": f"saved={sent}; Path=/; HttpOnly"})

    def _answer(self, status: int, text: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())


class Console(socketserver.StreamRequestHandler):
    """Says each line again, in capitals."""

    def handle(self) -> None:
        self.wfile.write(b"console ready\r\n")
        for line in iter(lambda: self.rfile.read(1), b""):
            self.wfile.write(line.upper())


def main() -> int:
    """Serve both."""
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    console = socketserver.ThreadingTCPServer(("127.0.0.1", 8002), Console)
    console.daemon_threads = True
    threading.Thread(target=console.serve_forever, daemon=True).start()
    ThreadingHTTPServer(("127.0.0.1", 8001), Router).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
