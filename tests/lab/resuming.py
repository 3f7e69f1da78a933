"""
Clients that resume an upload.

    python -m tests.lab.resuming tus|tusjs|curl|phone3|...|phone9|stubborn URL FILE HEADERS
    python -m tests.lab.resuming all FILE SLOTS

`tus` is the real tuspy, cut once; `tusjs` the real tus-js-client, in node, in the same way; `curl` a cut PUT and the
real curl, which sends it again; `phone` sends the headers of URLSession: 3 those of iOS 17, 5 of iOS 18.0, 6 of 18.1 or
later, and those of the drafts since; `all` is one after the other, each with a slot of its own. `stubborn` resumes as
long as it takes, prints a line after each megabyte, and at last how often it was cut and an offset went back.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from tests import tus_js
from tests.lab.cut_put import cut_put

VERSION = "Upload-Draft-Interop-Version"
PHONES = (3, 5, 6, 8, 9)  # versions
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


def by_tus_js(url: str, file: Path, headers: dict[str, str]) -> None:
    """tus-js-client, which is aborted after its first piece; another one of it goes on."""
    words = tus_js.words("tus-v1", 1, url, file, headers, cut=True)
    subprocess.run(words, stdout=subprocess.DEVNULL, check=True, timeout=30)


def by_curl(url: str, file: Path, headers: dict[str, str]) -> None:
    """PUT, cut; curl sends it once more."""
    cut_put(url, file.read_bytes(), file.stat().st_size // 3, headers)
    words = ["curl", "-sS", "-w", "%{http_code}", "-T", str(file), url]
    words += [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    said = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, timeout=30).stdout
    assert said == "201", said


def by_phone(version: int, url: str, file: Path, headers: dict[str, str]) -> None:
    """PUT, cut after a 104 of its own version; HEAD, PATCH with the rest, at the Location of that."""

    def flag(complete: bool) -> tuple[str, str]:
        if version == 3:
            return "Upload-Incomplete", f"?{int(not complete)}"
        return "Upload-Complete", f"?{int(complete)}"

    data, name = file.read_bytes(), {VERSION: str(version)}
    app = {**headers, "Content-Type": "application/octet-stream"}  # what the app has told, repeated in each request
    said = cut_put(url, data, len(data) // 3, {**app, **name, **dict([flag(True)])}).split("\r\n")
    told = {key.lower(): value for key, value in (line.split(": ", 1) for line in said[1:] if ": " in line)}
    assert (said[0].split(" ")[1], told[VERSION.lower()]) == ("104", str(version)), said
    there = urljoin(url, told["location"])
    answer = ask(there, "HEAD", {**app, **name, "Content-Length": "0"})
    offset, done = int(str(answer.getheader("Upload-Offset"))), flag(False)
    assert (answer.status, answer.getheader(done[0])) == (204, done[1]), answer.status
    assert 0 < offset <= len(data) // 3, offset
    more = {**dict([flag(True)]), "Upload-Offset": str(offset)}
    if version >= 6:
        more["Content-Type"] = "application/partial-upload"
    answer = ask(there, "PATCH", {**app, **name, **more}, data[offset:])
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


Client = Callable[[str, Path, dict[str, str]], None]
CLIENTS: dict[str, Client] = {"tus": by_tus, "curl": by_curl, "stubborn": stubborn}
CLIENTS |= {"tusjs": by_tus_js} if tus_js.HERE else {}
CLIENTS |= {f"phone{version}": partial(by_phone, version) for version in PHONES}
CUT = tuple(name for name in CLIENTS if name != "stubborn")

if __name__ == "__main__":
    if sys.argv[1] == "all":
        for client, slot in zip(CUT, json.loads(sys.argv[3]), strict=True):
            CLIENTS[client](slot["put"], Path(sys.argv[2]), slot["headers"])
    else:
        CLIENTS[sys.argv[1]](sys.argv[2], Path(sys.argv[3]), json.loads(sys.argv[4]))
