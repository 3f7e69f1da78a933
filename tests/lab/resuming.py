"""
Clients that resume an upload.

    python -m tests.lab.resuming tus|phone|stubborn URL FILE HEADERS

`tus` is the real tuspy, cut once; `phone` sends the headers of URLSession in iOS 18; `stubborn` resumes for as long as
it takes, prints a line after each megabyte, and at last how often it was cut and how often an offset went back.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from tests.lab.cut_put import cut_put

VERSION = {"Upload-Draft-Interop-Version": "6"}
PIECE = 1 << 16


def ask(url: str, verb: str, headers: dict[str, str], body: bytes = b"") -> http.client.HTTPResponse:
    """One request."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=20)
    connection.request(verb, f"{parts.path}{'?' + parts.query if parts.query else ''}", body, headers)
    answer = connection.getresponse()
    answer.read()
    return answer


def by_tus(url: str, file: Path, headers: dict[str, str]) -> None:
    """tuspy, whose connection ends after two pieces; another one of it goes on."""
    from tusclient.client import TusClient

    client = TusClient(url, headers=headers)
    first = client.uploader(str(file), chunk_size=300_000)
    first.upload(stop_at=600_000)
    second = client.uploader(str(file), chunk_size=1_000_000, url=first.url)
    assert second.offset == 600_000, second.offset
    second.upload()


def by_phone(url: str, file: Path, headers: dict[str, str]) -> None:
    """PUT, cut after the 104; HEAD, PATCH with the rest."""
    data = file.read_bytes()
    cut_put(url, data, len(data) // 3, {**headers, **VERSION, "Upload-Complete": "?1"})
    answer = ask(url, "HEAD", {**headers, **VERSION})
    offset = int(str(answer.getheader("Upload-Offset")))
    assert (answer.status, answer.getheader("Upload-Complete")) == (204, "?0"), answer.status
    assert 0 < offset <= len(data) // 3, offset
    more = {"Upload-Complete": "?1", "Upload-Offset": str(offset), "Content-Type": "application/partial-upload"}
    answer = ask(url, "PATCH", {**headers, **VERSION, **more}, data[offset:])
    assert answer.status == 200, answer.status


def stubborn(url: str, file: Path, headers: dict[str, str]) -> None:
    """PATCH after PATCH, over one broken connection after the other."""
    data, cuts, went_back, best = file.read_bytes(), 0, 0, 0
    with contextlib.suppress(OSError):
        ask(url, "PUT", {**headers, "Upload-Complete": "?0", "Upload-Length": str(len(data))})
    while best < len(data):
        try:
            answer = ask(url, "HEAD", headers)
            offset = int(str(answer.getheader("Upload-Offset")))
            went_back += offset < best
            best = max(best, offset)
            end = min(offset + (1 << 20), len(data))
            more = {"Upload-Complete": f"?{int(end == len(data))}", "Upload-Offset": str(offset)}
            more["Content-Type"] = "application/partial-upload"
            answer = ask(url, "PATCH", {**headers, **more}, data[offset:end])
            best = max(best, int(str(answer.getheader("Upload-Offset"))))
            print(best, flush=True)
        except (OSError, http.client.HTTPException):
            cuts += 1
            time.sleep(0.1)
    print(json.dumps({"cuts": cuts, "went_back": went_back}))


if __name__ == "__main__":
    clients = {"tus": by_tus, "phone": by_phone, "stubborn": stubborn}
    clients[sys.argv[1]](sys.argv[2], Path(sys.argv[3]), json.loads(sys.argv[4]))
