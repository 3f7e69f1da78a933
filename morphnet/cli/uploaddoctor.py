"""What a proxy in front of an upload server does wrong, found by uploading through it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from morphnet.cli.probing import Call, Heard, Line
from morphnet.wire.messages.upload import drafts, tus
from morphnet.wire.messages.upload.slots import jwt

PIECE = 300_000  # bytes of a body that are sent before it pauses
_BODY, _WITHIN = 1_000_000, 5.0  # bytes of the file; seconds in which bytes must get through
_LARGE = 12_000_000  # bytes of a file that is larger than limits usually are
_LONGEST_SIZE = 20  # digits
ORIGIN = "https://chat.example"


def _sentence(body: bytes) -> str:
    """What an answer says, as it may be shown."""
    text = body[:200].decode("utf-8", "replace").strip()
    return "".join(each if each.isprintable() else "?" for each in text)


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one look."""

    name: str
    fault: str = ""  # one sentence; "" when all is well
    remedy: str = ""  # a key of REMEDIES


# What to change: by the name of the program, as it says it itself.
REMEDIES: Mapping[str, Mapping[str, str]] = {
    "pass": {
        "nginx": "proxy_pass http://127.0.0.1:{port};    # in `location {base} {{ }}`: no slash behind the port",
        "Caddy": "handle {base}* {{ reverse_proxy 127.0.0.1:{port} }}    # not handle_path",
        "Apache": "ProxyPass {base} http://127.0.0.1:{port}{base}",
    },
    "size": {
        "nginx": "client_max_body_size 0;",
        "Caddy": "# remove `request_body {{ max_size ... }}`",
        "Apache": "LimitRequestBody 0",
    },
    "buffer": {
        "nginx": "proxy_request_buffering off; proxy_http_version 1.1;",
        "Caddy": "# remove `request_buffers` (before 2.7 `buffer_requests`) from reverse_proxy",
        "Apache": "# remove `SetInputFilter BUFFER`, and what else looks at whole bodies, as mod_security does",
    },
    "time": {
        "nginx": "client_body_timeout 150s; proxy_read_timeout 150s; proxy_send_timeout 150s;",
        "Caddy": "servers {{ timeouts {{ read_body 150s }} }}",
        "Apache": "RequestReadTimeout body=150\nProxyTimeout 150",
    },
    "verbs": {
        "nginx": "# remove `limit_except` and `dav_methods` from `location {base} {{ }}`",
        "Caddy": "# remove the matcher on `method`",
        "Apache": "# remove `<LimitExcept>` from `<Location {base}>`",
    },
    "cors": {
        "nginx": "# remove `add_header` and `proxy_hide_header` with Access-Control-..., and what answers OPTIONS",
        "Caddy": "# remove `header Access-Control-...`",
        "Apache": "# remove `Header set Access-Control-...`",
    },
    "interim": {
        "nginx": 'proxy_set_header Upload-Draft-Interop-Version "";    # phones arrive, but begin anew after a cut',
        "Caddy": "# 2.6 and later let 104 through",
        "Apache": "RequestHeader unset Upload-Draft-Interop-Version early",
    },
}


class UploadDoctor:
    """
    Looks at one address.

    :param base: path of the address, from slash to slash.
    :param user: begins the path of slots; "" for the shared secret.
    :param key: signs slots.
    :param silence: seconds that a connection must be left alone with an upload that stands still.
    """

    def __init__(self, call: Call, base: str, user: str, key: bytes, silence: float) -> None:
        self._call, self._base, self._user, self._key, self._silence = call, base, user, key, silence
        self.proxy = ""  # what it calls itself
        self._most = 0  # bytes of a file that the server takes
        self.pause: Callable[[float], None] = time.sleep

    def findings(self) -> Iterator[Finding]:
        """One look after the other; the first fault that hides all else ends them."""
        looks: tuple[Callable[[], Finding], ...] = (self._reached, self._size, self._put)
        for look in (*looks, self._large, self._buffering, self._verbs, self._silent, self._cors, self._interim):
            found = self._tried(look)
            yield found
            if found.fault and look in (self._reached, self._put):
                return

    @staticmethod
    def _tried(look: Callable[[], Finding]) -> Finding:
        try:
            return look()
        except OSError as trouble:
            return Finding("connection", f"the connection failed: {trouble.strerror or trouble}", "pass")

    def _slot(self, size: int) -> tuple[str, dict[str, str]]:
        slot, now = self._user + "doctor-" + secrets.token_hex(8), int(time.time())
        claims = {"sub": "doctor", "slot": slot, "filename": "probe.bin", "filesize": size, "exp": now + 300}
        claims |= {"expires": now + 600, "keep": 60}
        return f"{self._base}{slot}/probe.bin", {"Authorization": f"Bearer {jwt(self._key, claims)}"}

    def _ask(self, verb: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Heard:
        line = self._call(verb, target, {"Content-Length": str(len(body)), **headers}, body)
        try:
            return self._final(line, 20.0)
        finally:
            line.close()

    def _final(self, line: Line, seconds: float) -> Heard:
        heard = [each for each in line.hear(seconds) if each.status >= 200]
        return heard[0] if heard else Heard(0, (), b"")

    def _end(self, line: Line, target: str, headers: Mapping[str, str]) -> None:
        """Leave nothing behind of an upload that is not whole."""
        line.close()
        with suppress(OSError):
            self._ask("DELETE", target, headers)

    def _reached(self) -> Finding:
        target, _ = self._slot(1)
        heard = self._ask("OPTIONS", target, {})
        self.proxy = heard.one("server")
        if heard.one("tus-version"):
            return Finding("reaches the upload server")
        if heard.status in (502, 503, 504):
            return Finding(
                "reaches the upload server", f"the proxy answers {heard.status}: it does not reach it", "pass"
            )
        if heard.status in (403, 405):
            return Finding(
                "reaches the upload server", f"the proxy answers OPTIONS itself, with {heard.status}", "cors"
            )
        why = f"somebody else answers at this address, with {heard.status}" if heard.status else "nobody answers"
        return Finding("reaches the upload server", why, "pass")

    def _size(self) -> Finding:
        target, headers = self._slot(_BODY)
        said = self._ask("OPTIONS", target, {}).one("tus-max-size")
        if not (said.isascii() and said.isdigit() and len(said) < _LONGEST_SIZE):
            return Finding("takes large files", f"somebody has changed Tus-Max-Size: {said[:40]!r}", "cors")
        most = self._most = int(said)
        name = f"takes files of {most / 1e6:.0f} MB"
        target, headers = self._slot(most)
        line = self._call("PUT", target, {**headers, "Content-Length": str(most)}, b"x")
        try:
            heard = self._final(line, 1.0)
        finally:
            self._end(line, target, headers)
        if heard.status == 413 and heard.one("access-control-allow-origin"):  # our own: each answer of ours has it
            why = f"the server itself refuses a file of that size (413): {_sentence(heard.body)}"
            return Finding(name, why)
        if heard.status == 413:
            return Finding(name, "the proxy refuses what is larger than its own limit (413)", "size")
        return Finding(name)

    def _put(self) -> Finding:
        target, headers = self._slot(1000)
        heard = self._ask("PUT", target, headers, b"x" * 1000)
        name = "takes a file, and gives it out"
        if heard.status == 404:
            return Finding(name, "the path is another one when it comes to the server (404)", "pass")
        if heard.status in (401, 403) and heard.one("access-control-allow-origin"):
            return Finding(name, f"the server refuses our slot ({heard.status}): is this its secret, or token?")
        if heard.status in (403, 405):
            return Finding(name, f"PUT is refused by the proxy ({heard.status})", "verbs")
        if heard.status != 201:
            return Finding(name, f"PUT is answered with {heard.status or 'nothing'}", "pass")
        got = self._ask("GET", target, {"Range": "bytes=10-19"})
        if (got.status, got.body) != (206, b"x" * 10):
            return Finding(name, f"GET of a part is answered with {got.status}", "pass")
        return Finding(name)

    def _large(self) -> Finding:
        """All bytes of it: some proxies do not look at the length that is told, and count."""
        size = min(_LARGE, self._most)
        name = f"takes {size / 1e6:.0f} MB indeed"
        if "nginx" in self.proxy:
            return Finding(name)  # it looks
        target, headers = self._slot(size)
        line, left = self._call("PUT", target, {**headers, "Content-Length": str(size)}), size
        try:
            with suppress(OSError):
                while left:
                    line.send(b"x" * min(left, PIECE))
                    left -= min(left, PIECE)
            heard = self._final(line, 20.0)
        finally:
            self._end(line, target, headers)
        if heard.status == 201:
            return Finding(name)
        told = f" with {heard.status}" if heard.status else ""
        return Finding(name, f"the proxy ends what is larger than its own limit{told}", "size")

    def _begun(self, target: str, headers: Mapping[str, str]) -> Line:
        return self._call("PUT", target, {**headers, "Content-Length": str(_BODY)}, b"x" * PIECE)

    def _offset(self, target: str, headers: Mapping[str, str]) -> int:
        heard = self._ask("HEAD", target, {**headers, "Tus-Resumable": tus.VERSION})
        said = heard.one("upload-offset")
        return int(said) if said.isdigit() else 0

    def _buffering(self) -> Finding:
        target, headers = self._slot(_BODY)
        line, ends, offset = self._begun(target, headers), time.monotonic() + _WITHIN, 0
        try:
            while not offset:
                self.pause(0.5)
                offset = self._offset(target, headers)
                if time.monotonic() > ends:
                    break
        finally:
            self._end(line, target, headers)
        if offset:
            return Finding("passes bytes on as they come")
        fault = "the proxy keeps a body until it is whole: a cut upload begins anew"
        return Finding("passes bytes on as they come", fault, "buffer")

    def _verbs(self) -> Finding:
        target, headers = self._slot(10)
        said = {**headers, "Tus-Resumable": tus.VERSION}
        begun = self._ask("POST", target, {**said, "Upload-Length": "10"})
        more = {**said, "Upload-Offset": "0", "Content-Type": tus.OCTETS}
        went_on = self._ask("PATCH", target, more, b"x" * 10)
        if (begun.status, went_on.status) == (201, 204):
            return Finding("lets uploads go on (HEAD, POST, PATCH)")
        fault = f"POST is answered with {begun.status}, PATCH with {went_on.status}"
        return Finding("lets uploads go on (HEAD, POST, PATCH)", fault, "verbs")

    def _silent(self) -> Finding:
        name = f"leaves an upload alone that stands still for {self._silence:g} s"
        target, headers = self._slot(_BODY)
        line = self._begun(target, headers)
        try:
            heard = line.hear(self._silence)
            if line.ended or any(each.status >= 200 for each in heard):
                told = f", with {heard[-1].status}" if heard else ""
                return Finding(name, f"the proxy ends it{told}", "time")
        finally:
            self._end(line, target, headers)
        return Finding(name)

    def _cors(self) -> Finding:
        target, _ = self._slot(10)
        name, asked = "lets web clients upload (CORS)", {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"}
        heard = self._ask("OPTIONS", target, asked)
        allowed = heard.all("access-control-allow-origin")
        if not 200 <= heard.status < 300 or not allowed:
            return Finding(name, f"OPTIONS is answered with {heard.status}, and allows no origin", "cors")
        if len(allowed) > 1:
            return Finding(name, "Access-Control-Allow-Origin comes twice, which browsers refuse", "cors")
        return Finding(name)

    def _interim(self) -> Finding:
        """A phone is told early where it can resume, and its upload must arrive all the same."""
        target, headers = self._slot(_BODY)
        said = {**headers, drafts.VERSION: "6", "Upload-Complete": "?1", "Content-Length": str(_BODY)}
        name = "lets phones resume (104)"
        line = self._call("PUT", target, said, b"x" * PIECE)
        try:
            early = any(each.status == 104 for _ in range(4) for each in line.hear(0.2))
            line.send(b"x" * (_BODY - PIECE))
            final = self._final(line, 10.0).status
        except OSError:
            final = 0
        finally:
            self._end(line, target, headers)
        if final != 201:
            fault = f"an upload that is answered with 104 ends with {final or 'no answer'}: iPhones cannot upload"
            return Finding(name, fault, "interim")
        if not early:
            return Finding(name, "the proxy keeps 104 back: iPhones arrive, but begin anew after a cut")
        return Finding(name)
