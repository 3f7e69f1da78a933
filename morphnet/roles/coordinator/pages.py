"""The page and what belongs to it: files that come with morphnet, and how browsers are told to treat them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

import morphnet

WEB = Path(morphnet.__file__).parent / "web"
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_COMMON = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
    "Cache-Control": "no-cache",
}
_POLICY = "Content-Security-Policy"
_CALLS = "connect-src 'self'"
_ONLY_TLS = {"Strict-Transport-Security": "max-age=31536000"}
_PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self';"
    " frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# An app has a frame without an origin: nothing of the page is in its reach, and it reaches nobody. Modules come to it
# only where everybody may have them: they are no secret.
_APP = (
    "default-src 'none'; script-src 'self'; style-src 'self'{styles}; img-src data:{pictures}; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts{more}"
)
_APPS = {
    # xterm.js writes style sheets of its own.
    "/app/terminal.html": _APP.format(styles=" 'unsafe-inline'", pictures="", more=""),
    "/app/desktop.html": _APP.format(styles="", pictures="", more=""),
    # Files: pictures, sound and films as the page hands them over.
    "/app/preview.html": _APP.format(styles="", pictures=" blob:", more="").replace(
        "; base", "; media-src blob:; base"
    ),
    # Pages of machines at home bring styles and pictures; no script of theirs runs, no form goes anywhere by itself.
    "/app/web.html": _APP.format(styles=" 'unsafe-inline'", pictures=" blob:", more=" allow-forms"),
}
_FOR_APPS = ("/app/", "/vendor/")
_ANYBODY = {"Access-Control-Allow-Origin": "*"}


@dataclass(frozen=True, slots=True)
class Page:
    """One file, as it is given out."""

    body: bytes
    headers: dict[str, str]

    @property
    def mark(self) -> str:
        """Another one for another body."""
        return self.headers["ETag"]

    def calling(self, origins: Collection[str]) -> Page:
        """The same, which may call these as well."""
        policy = self.headers.get(_POLICY, "")
        if not origins or _CALLS not in policy:
            return self
        sockets = [f"ws{each.removeprefix('http')}" for each in origins]  # of the last resort, see between
        allowed = policy.replace(_CALLS, " ".join([_CALLS, *sorted(origins), *sorted(sockets)]))
        mark = f'"{sha256((self.mark + allowed).encode()).hexdigest()[:32]}"'  # or a browser would keep the old policy
        return Page(self.body, {**self.headers, _POLICY: allowed, "ETag": mark})


def origin_of(address: str) -> str:
    """What a browser calls the site of a page: https://HOST[:PORT]."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}".lower()


def read_pages(root: Path = WEB, *, tls: bool = False) -> dict[str, Page]:
    """
    All of them, by their path from the root of the site.


    :param tls: they are served by HTTPS from here: a browser that was here once comes by nothing else for a year.
    """
    found: dict[str, Page] = {}
    common = {**_COMMON, **(_ONLY_TLS if tls else {})}
    for file in sorted(root.rglob("*")):
        kind = _KINDS.get(file.suffix)
        if kind is None or not file.is_file():
            continue
        path = "/" + file.relative_to(root).as_posix()
        body = file.read_bytes()
        headers = {**common, **(_ANYBODY if path.startswith(_FOR_APPS) else {}), "Content-Type": kind}
        headers[_POLICY] = _APPS.get(path, _PAGE)
        headers["ETag"] = f'"{sha256(body).hexdigest()[:32]}"'
        found[path] = Page(body, headers)
    if "/index.html" in found:
        found["/"] = found.pop("/index.html")
    return found


def own_pages(coordinators: Sequence[str]) -> dict[str, Page]:
    """
    The same for another server than a coordinator: the page names those that it calls, and is given nothing by them.

    :param coordinators: addresses of their pages, best first.
    """
    origins = list(dict.fromkeys(origin_of(each) for each in coordinators))
    found = {path: page.calling(origins) for path, page in read_pages().items()}
    first, name = found["/"], f'<meta name="coordinators" content="{escape(" ".join(origins))}">\n'
    body = first.body.replace(b"<title>", name.encode() + b"<title>", 1)
    found["/"] = Page(body, {**first.headers, "ETag": f'"{sha256(body).hexdigest()[:32]}"'})
    return found
