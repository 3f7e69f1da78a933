"""
51 behaviours of a server of resumable uploads, as a conformity script of the draft's twelfth revision asks for them.

Who names no version is spoken to as the newest. Slots are JWTs, which tell the size, so that a request need not; where
nobody knows the length (4) it is a slot of v3, which does not cover it. A GET of the address is for the file, once that
is whole; before that, from who holds the slot, it is what HEAD is (15).

Source: draft-ietf-httpbis-resumable-upload-12.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping

from twisted.trial.unittest import SynchronousTestCase

from morphnet.wire.messages.upload.drafts import Appends
from morphnet.wire.messages.upload.slots import jwt, mac_v3
from tests.fakes_upload import NOW, SECRET, Answer, Line, Service

DATA = bytes(range(100))
PARTIAL = {"Content-Type": "application/partial-upload"}


class Upload:
    """One slot, and what is asked of it."""

    def __init__(self, service: Service, number: int, size: int = 100) -> None:
        claims = {"sub": "a@x", "exp": NOW + 300, "slot": str(number), "filename": "f", "filesize": size}
        self.target, self._service = f"/up/{number}/f", service
        self.headers = {"Authorization": f"Bearer {jwt(SECRET, claims)}"}

    def of_no_size(self) -> Upload:
        """The same with a slot that does not say how long the file is."""
        expires = str(int(NOW) + 300)
        path = self.target.removeprefix("/up/")
        self.target += f"?v3={mac_v3(SECRET, 'PUT', path, expires)}&expires={expires}"
        self.headers = {}
        return self

    def ask(self, verb: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """One request."""
        return self._service.ask(verb, self.target, {**self.headers, **headers}, body)

    def create(self, body: bytes = b"", flag: str = "?0", **more: str) -> Answer:
        """Begin it."""
        return self.ask("POST", {"Upload-Complete": flag, **_named(more)}, body)

    def append(self, at: int, body: bytes, flag: str = "?0", **more: str) -> Answer:
        """Go on."""
        return self.ask("PATCH", {**PARTIAL, "Upload-Offset": str(at), "Upload-Complete": flag, **_named(more)}, body)

    def head(self, **more: str) -> Answer:
        """How far it is."""
        return self.ask("HEAD", _named(more))

    def stored(self) -> bytes | None:
        """The file, when it has appeared."""
        return self._service.stored(self.target.partition("?")[0].removeprefix("/up/"))

    def line(self, verb: str, headers: Mapping[str, str], size: int, body: bytes) -> Line:
        """A request that goes on."""
        line = Line(self._service)
        line.begin(verb, self.target, {**self.headers, **headers, "Content-Length": str(size)}, body)
        return line


def _named(more: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in more.items()}


def _gone(answer: Answer) -> bool:
    return answer.status in (404, 410)


def _is(answer: Answer, *statuses: int, **headers: str) -> bool:
    """One of these statuses, with these headers."""
    told = answer.headers
    return answer.status in statuses and all(
        told.get(name.replace("_", "-")) == value for name, value in headers.items()
    )


def _has(answer: Answer, *names: str) -> bool:
    return all(name in answer.headers for name in names)


def _problem(answer: Answer) -> bool:
    said = json.loads(answer.body)
    return bool(said["type"].endswith("#mismatching-upload-offset")) and (
        (said["expected-offset"], said["provided-offset"]) == (0, 99)
    )


def _begun(upload: Upload, body: bytes = b"") -> Upload:
    upload.create(body)
    return upload


def _whole(upload: Upload) -> Upload:
    upload.create(DATA, "?1")
    return upload


def _deleted(upload: Upload) -> Upload:
    _begun(upload).ask("DELETE", {})
    return upload


def _promised(upload: Upload) -> bool:
    """Locations of the interim and of the final answer are one (12)."""
    headers = {"Upload-Complete": "?0", "Upload-Draft-Interop-Version": "9"}
    first, last = upload.line("POST", headers, 10, DATA[:10]).answers()
    return (first.status, last.status) == (104, 201) and first.headers["location"] == last.headers["location"]


def _appended(upload: Upload) -> bool:
    """An interim answer to PATCH has no Location (18)."""
    headers = {**PARTIAL, "Upload-Offset": "0", "Upload-Complete": "?0", "Upload-Draft-Interop-Version": "9"}
    *interim, last = _begun(upload).line("PATCH", headers, 10, DATA[:10]).answers()
    return _is(last, 200, 204, upload_complete="?0") and not any("location" in each.headers for each in interim)


def _stale(upload: Upload) -> bool:
    answer = _begun(upload, DATA[:32]).append(0, DATA[:10])
    return _is(answer, 409, upload_offset="32") and _is(upload.head(), 200, 204, upload_offset="32")


def _parallel(upload: Upload) -> bool:
    """Of two PATCHes at the same offset one wins at most (41)."""
    headers = {**PARTIAL, "Upload-Offset": "0", "Upload-Complete": "?0"}
    first = _begun(upload).line("PATCH", headers, 64, DATA[:32])
    second = upload.append(0, DATA[:64])
    first.send(DATA[32:64])
    won = [each.status for each in (*first.answers(), second)]
    return sum(each in (200, 204) for each in won) <= 1 and _is(upload.head(), 200, 204)


def _deleted_during(upload: Upload) -> bool:
    """DELETE ends a PATCH, and the upload is gone (45)."""
    headers = {**PARTIAL, "Upload-Offset": "0", "Upload-Complete": "?0"}
    line = _begun(upload).line("PATCH", headers, 64, DATA[:32])
    return _is(upload.ask("DELETE", {}), 200, 204) and line.aborted and _gone(upload.head())


def _head_during(upload: Upload) -> bool:
    """
    HEAD tells none of the bytes of a PATCH that has just begun, or all if they have come (44); of those that had come
    of one that hangs, what can be gone on from: nobody else writes then.
    """
    headers = {**PARTIAL, "Upload-Offset": "0", "Upload-Complete": "?0"}
    begun = _begun(upload).line("PATCH", headers, 64, b"")
    told = [upload.head().headers["upload-offset"]]
    whole = upload.line("PATCH", headers, 64, DATA[:64])
    told.append(upload.head().headers["upload-offset"])
    more = {**headers, "Upload-Offset": "64"}
    hangs = upload.line("PATCH", more, 32, DATA[64:80])
    told.append(upload.head().headers["upload-offset"])
    for line, rest in ((begun, DATA[:64]), (hangs, DATA[80:96])):
        line.send(rest)
    if ([each.status for each in whole.answers()], told, hangs.aborted) != ([204], ["0", "64", "80"], True):
        return False
    return _is(upload.append(80, DATA[80:], "?1"), 200, 204, upload_complete="?1") and upload.stored() == DATA


def _exact(upload: Upload) -> bool:
    """A byte too many invalidates (24)."""
    _begun(upload, DATA[:99])
    return _is(upload.append(99, b"xy"), 400, 409) and _gone(upload.head())


def _usable(upload: Upload, asked: Callable[[Upload], Answer]) -> bool:
    """The offset of that answer is one from which the rest is taken."""
    offset = int(asked(_begun(upload, DATA[:32])).headers["upload-offset"])
    return _is(upload.append(offset, DATA[offset:], "?1"), 200, 204)


def _digest(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def _open(upload: Upload) -> bool:
    """A length that nobody has told is not told by us either, until the last byte has come (4)."""
    upload.of_no_size().create(DATA[:16])
    before = upload.head()
    upload.append(16, DATA[16:32], "?1")
    return (
        _is(before, 200, 204, upload_offset="16", upload_complete="?0")
        and "upload-length" not in before.headers
        and _is(upload.head(), 200, 204, upload_length="32", upload_complete="?1")
        and upload.stored() == DATA[:32]
    )


def _same_by_get(upload: Upload) -> bool:
    """GET tells what HEAD does (15)."""
    answer = _begun(upload, DATA[:32]).ask("GET", {})
    told = {"upload_offset": "32", "upload_complete": "?0", "upload_length": "100", "cache_control": "no-store"}
    return _is(answer, 200, 204, **told) and _has(answer, LIMIT)


def _limits(answer: Answer) -> bool:
    parts = dict(each.strip().split("=") for each in answer.headers["upload-limit"].split(","))
    return all(value.isdigit() for value in parts.values()) and "max-size" in parts


WHAT = dict(
    enumerate(
        (
            "an offset that is no number is refused",
            "a stale offset: 409 with the present one, and the upload stays",
            "a flag that is no boolean is no upload's end",
            "a length that nobody knows is not told until the last byte has come",
            "the whole body in one request",
            "a first part: 201, Location, flag, offset, limits",
            "an empty first part: the same",
            "an empty file in one request",
            "Content-Disposition is no reason to refuse",
            "a length that is not that of the body: 400",
            "a PATCH that changes the length: 400",
            "104 and the final answer name one Location",
            "the length is kept",
            "HEAD of a new one: 0, flag, no-store, limits",
            "GET tells what HEAD does, and the length",
            "HEAD with an offset: 400",
            "HEAD with a flag: 400",
            "a PATCH in the middle; its 104 has no Location",
            "a PATCH without an offset is refused",
            "a PATCH without a flag is refused",
            "a PATCH of another type is refused",
            "an empty PATCH changes nothing",
            "more bytes than the length: refused, and the upload is gone",
            "exactly the length fits; one more byte does not, and the upload is gone",
            "an offset beyond the end: 409, and a problem for machines",
            "an offset that was used: 409 with the present one",
            "the length is known at the end",
            "DELETE",
            "DELETE of a whole one",
            "OPTIONS tells limits, as integers",
            "longer than max-size is refused, with the limits",
            "a PATCH below min-append-size is refused, with the limits",
            "an empty first part may be below min-append-size",
            "the last PATCH may be below min-append-size",
            "a PATCH above max-append-size is refused, with the limits",
            "HEAD after DELETE: gone",
            "PATCH after DELETE: gone",
            "DELETE of one that nobody knows: 404",
            "HEAD of a whole one: its flag, and all of its length",
            "PATCH of a whole one changes nothing",
            "of parallel PATCHes one wins at most",
            "the offset of HEAD can be gone on from",
            "the offset of a 409 can be gone on from",
            "HEAD during a PATCH tells an offset that holds",
            "DELETE during a PATCH: gone",
            "begun, gone on with, whole",
            "an empty first part, then a PATCH",
            "the whole body without Upload-Length",
            "OPTIONS with a flag",
            "a Content-Digest that is right",
            "a Content-Digest that is wrong: refused, and the upload stays",
        ),
        1,
    )
)
LIMIT, WHERE = "upload-limit", "location"
_OPEN = {"upload_complete": "?0", "cache_control": "no-store"}
ROWS: Mapping[int, Callable[[Upload], bool]] = {
    1: lambda u: _is(_begun(u).ask("PATCH", {**PARTIAL, "Upload-Offset": "abc", "Upload-Complete": "?0"}), 400, 409),
    2: _stale,
    4: _open,
    15: _same_by_get,
    3: lambda u: _is(u.create(b"", "true"), 200, 201, 400, 404, 405),
    5: lambda u: _is(u.create(DATA, "?1"), 200, 201, upload_complete="?1"),
    6: lambda u: _is(a := u.create(DATA[:32]), 201, upload_complete="?0", upload_offset="32") and _has(a, LIMIT, WHERE),
    7: lambda u: _is(a := u.create(), 201, upload_complete="?0") and _has(a, LIMIT, WHERE),
    8: lambda u: _is(Upload(u._service, 1008, 0).create(b"", "?1"), 200, 201, upload_complete="?1"),
    9: lambda u: _is(u.create(Content_Disposition="inline"), 201),
    10: lambda u: _is(u.create(DATA[:32], "?1", Upload_Length="50"), 400, upload_complete="?0"),
    11: lambda u: _is(_begun(u).append(0, DATA[:32], Upload_Length="50"), 400, upload_complete="?0"),
    12: _promised,
    13: lambda u: _is(_begun(u, DATA[:32]).head(), 200, 204, upload_length="100"),
    14: lambda u: _is(a := _begun(u).head(), 200, 204, upload_offset="0", **_OPEN) and _has(a, LIMIT),
    16: lambda u: _is(_begun(u).head(Upload_Offset="0"), 400),
    17: lambda u: _is(_begun(u).head(Upload_Complete="?0"), 400),
    18: _appended,
    19: lambda u: _is(_begun(u).ask("PATCH", {**PARTIAL, "Upload-Complete": "?0"}, b"x"), 400, 409),
    20: lambda u: _is(_begun(u).ask("PATCH", {**PARTIAL, "Upload-Offset": "0"}, b"x"), 400, 409),
    21: lambda u: _is(_begun(u).append(0, b"x", Content_Type="text/plain"), 400, 415),
    22: lambda u: _is(_begun(u).append(0, b""), 200, 204),
    23: lambda u: _is(_begun(u).append(0, DATA + b"x" * 20), 400, 409, upload_complete="?0") and _gone(u.head()),
    24: _exact,
    25: lambda u: _is(a := _begun(u).append(99, b"x"), 409, upload_offset="0", upload_complete="?0") and _problem(a),
    26: lambda u: _is(_begun(u, DATA[:32]).append(0, DATA[:32]), 409, upload_offset="32", upload_complete="?0"),
    27: lambda u: _is(_begun(u).append(0, DATA, "?1"), 200, 204) and _is(u.head(), 200, 204, upload_length="100"),
    28: lambda u: _is(_begun(u).ask("DELETE", {}), 200, 204),
    29: lambda u: _is(_whole(u).ask("DELETE", {}), 200, 204, 404),
    30: lambda u: _limits(u.ask("OPTIONS", {})),
    31: lambda u: _is(a := Upload(u._service, 1031, 1001).create(), 400, 413) and _has(a, LIMIT),
    32: lambda u: _is(a := _begun(u).append(0, DATA[:9]), 400, 413) and _has(a, LIMIT),
    35: lambda u: _is(a := _begun(u).append(0, DATA[:71]), 413) and _has(a, LIMIT),
    33: lambda u: _is(u.create(), 201),
    34: lambda u: _is(_begun(u, DATA[:99]).append(99, DATA[99:], "?1"), 200, 204, upload_complete="?1"),
    36: lambda u: _gone(_deleted(u).head()),
    37: lambda u: _gone(_deleted(u).append(0, b"x")),
    38: lambda u: _is(u.ask("DELETE", {}), 404),
    39: lambda u: _is(_whole(u).head(), 200, 204, upload_complete="?1", upload_offset="100"),
    40: lambda u: _is(_whole(u).append(100, b""), 200, 201, 204, 400, 404, 409, 410),
    41: _parallel,
    42: lambda u: _usable(u, Upload.head),
    43: lambda u: _usable(u, lambda upload: upload.append(7, b"x")),
    44: _head_during,
    45: _deleted_during,
    46: lambda u: _is(_begun(u, DATA[:32]).append(32, DATA[32:], "?1"), 200, 204, upload_complete="?1"),
    47: lambda u: _is(_begun(u).append(0, DATA[:32]), 200, 204, upload_offset="32"),
    48: lambda u: _is(u.create(DATA, "?1"), 200, 201, upload_complete="?1"),
    49: lambda u: _is(u.ask("OPTIONS", {"Upload-Complete": "?1"}), 200, 204),
    50: lambda u: _is(u.create(DATA, "?1", Content_Digest=_digest(DATA)), 200, 201),
    51: lambda u: _is(u.create(DATA, "?1", Content_Digest=_digest(b"other")), 400, 409) and _is(u.head(), 200, 204),
}


class ConformanceTests(SynchronousTestCase):
    def test_complete(self) -> None:
        """Each of the 51 is asked."""
        self.assertEqual((sorted(ROWS), len(WHAT)), (list(WHAT), 51))

    def test_rows(self) -> None:
        """Each of them holds."""
        service, limited = Service(self.mktemp()), Service(self.mktemp(), appends=Appends(10, 70))
        of_limits = (22, 30, 32, 33, 34, 35)
        broken = [
            f"{number}: {WHAT[number]}"
            for number, holds in ROWS.items()
            if not holds(Upload(limited if number in of_limits else service, number))
        ]
        self.assertEqual(broken, [])
