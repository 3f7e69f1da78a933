"""
A receiver of reports: writes down what comes, and does with each what a file says at that moment.

    python -m tests.lab.webhook_receiver PORT JOURNAL MODE

MODE is a file that holds "take" (200), "fail" (503), "hang" (writes it down, and never answers) or "drop" (writes it
down, and hangs up). Each line of JOURNAL is one request, on the disk before it is answered. Source: RFC 9110.
"""

from __future__ import annotations

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """One report."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        mode = Path(sys.argv[3]).read_text().strip()
        said = {
            "path": self.path,
            "key": self.headers["Idempotency-Key"],
            "token": self.headers.get("Authorization", ""),
            "body": body,
            "mode": mode,
        }
        line = json.dumps(said) + "\n"
        journal = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(journal, line.encode())
        os.close(journal)
        if mode == "hang":
            time.sleep(60)
        if mode in ("hang", "drop"):
            self.close_connection = True
            return
        self.send_response(503 if mode == "fail" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the journal has it."""


def main() -> None:
    """Until it is killed."""
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
    server.daemon_threads = True
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
