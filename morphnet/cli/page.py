"""`morphnet home page` and `morphnet coordinator check`: the page from somewhere that one trusts, or looked at."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Mapping
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import click

from morphnet.cli.layout import Place, dir_option
from morphnet.errors import ConfigError, HostError
from morphnet.rights import rights_of
from morphnet.roles.coordinator.pages import Page, origin_of, own_pages, read_pages
from morphnet.roles.home import known
from morphnet.roles.home.identity import link, name_of, read_identity
from morphnet.text import printable

HERE = "127.0.0.1"  # browsers trust it as they do HTTPS
PATIENCE = 20.0  # seconds for each file
MOST = 8 << 20  # bytes of one
_WATCHED = ("Content-Security-Policy", "Content-Type", "Refresh", "Link")  # the latter lead elsewhere, or bring styles


@click.command("page")
@click.argument("address", metavar="LINK", default="")
@click.option(
    "--port", default=8090, show_default=True, type=click.IntRange(0, 65535), help="TCP port on this machine."
)
@dir_option
def serve(address: str, port: int, place: Place) -> None:
    """
    Serve the page on this machine, from this installation, for a browser here, until Ctrl-C.

    The coordinator then only introduces: not a byte of the page is from it, so that it cannot take a password. LINK is
    what `morphnet home link` prints; it may be left out on the home's own machine.
    """
    pages = [address.partition("#")[0]] if address else []
    home = address.partition("#")[2]
    if not address:
        pages, home = _of(place)
    for page in pages:
        if urlsplit(page).scheme not in ("http", "https") or not urlsplit(page).hostname:
            raise ConfigError("give the link that `morphnet home link` prints, as https://home.example.org/#...")
    try:
        server = Server(port, own_pages(pages))
    except OSError as trouble:
        raise HostError(f"port {port}: {(trouble.strerror or str(trouble)).lower()}") from None
    with server:
        here = f"http://{HERE}:{server.server_port}"
        click.echo(f"{link(here, home)}\n\nThe coordinator must let it call, in its coordinator.toml:")
        click.echo(f'  pages = ["{here}"]')
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo()


def _of(place: Place) -> tuple[list[str], str]:
    """Pages of its coordinators, best first, and the key of the home of this machine."""
    from morphnet.cli.home import load_home

    config = load_home(place)
    with rights_of(config.state_dir):
        return [each.page for each in known.read(config) if each.page], name_of(read_identity(config.state_dir))


class Server(ThreadingHTTPServer):
    """Gives out pages on loopback."""

    daemon_threads = True

    def __init__(self, port: int, pages: Mapping[str, Page]) -> None:
        """:raises OSError: the port is somebody else's."""
        self.pages = pages
        super().__init__((HERE, port), _Answer)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that hangs up in the middle is nobody's trouble."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "morphnet", ""
    timeout = PATIENCE
    server: Server

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path.partition("?")[0])
        body = b"there is nothing here\n" if page is None else page.body
        self.send_response(404 if page is None else 200)
        for name, value in ({} if page is None else page.headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Nobody reads it."""


@click.command("check")
@click.argument("address", metavar="URL")
@click.option("--ca-file", type=click.Path(path_type=Path), help="Certificates to trust besides those of the system.")
def check(address: str, ca_file: Path | None) -> None:
    """
    Compare the page that is served at URL, byte by byte, with that of this installation.

    That is what is served to this machine now: somebody who serves another page to one browser alone is not seen.
    """
    if urlsplit(address).scheme not in ("http", "https"):
        raise ConfigError("give the address of the page, as https://home.example.org")
    pages, base = read_pages(), origin_of(address)
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    wrong = [f"{path} {why}" for path, page in sorted(pages.items()) if (why := _compare(base, path, page, context))]
    for line in wrong:
        click.echo(printable(line))
    if wrong:
        raise SystemExit(1)
    click.echo(f"All {len(pages)} files are those of this installation.")


def _compare(base: str, path: str, page: Page, context: ssl.SSLContext) -> str:
    """What is wrong with it, or ""."""
    try:
        with urlopen(
            Request(base + path, headers={"Accept-Encoding": "identity"}), None, PATIENCE, context=context
        ) as got:
            if got.geturl() != base + path:
                return f"is somewhere else: {got.geturl()}"
            if got.read(MOST) != page.body:
                return "is not that of this installation"
            told = {name: _sources(", ".join(got.headers.get_all(name, ()))) for name in _WATCHED}
            return next((f"has another {n}" for n in _WATCHED if told[n] != _sources(page.headers.get(n, ""))), "")
    except HTTPError as no:
        return f"is not given out: {no.code}"
    except (URLError, HTTPException, OSError) as trouble:
        raise HostError(f"{base} does not answer: {getattr(trouble, 'reason', trouble)}") from None


def _sources(value: str) -> str:
    """A header without what a coordinator adds to it: which other coordinators the page may call."""
    parts = [part.strip() for part in value.split(";")]
    return "; ".join("connect-src 'self'" if part.startswith("connect-src 'self'") else part for part in parts)
