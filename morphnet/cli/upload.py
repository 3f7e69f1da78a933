"""`morphnet upload`: a file to an upload server, whatever the network does meanwhile."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from urllib.parse import SplitResult, quote, urlsplit

import click

from morphnet.cli.sending import Sending, over_http
from morphnet.cli.unsent import Unsent, home
from morphnet.errors import ConfigError, HostError
from morphnet.roles.upload.secrets import FOLDER, read_tokens
from morphnet.wire.messages.upload.slots import jwt

_OPENS, _LASTS = 2 * 86400, 7 * 86400  # seconds that a slot is good for, to begin and to go on, by whichever clock
_HASHES = 40  # characters of the bar


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--to", envvar="MORPHNET_UPLOAD_URL", required=True, metavar="URL", help="As https://example.org/upload/."
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    envvar="MORPHNET_UPLOAD_TOKEN_FILE",
    help="Your line of the server's tokens_file; ~/.config/morphnet/upload.token when none is named.",
)
@click.option("--patience", type=click.FloatRange(0), default=86400.0, show_default=True, help="Seconds to try for.")
@click.option(
    "--json", "as_json", is_flag=True, help="Lines of JSON: how far it is, at last the link and what it took."
)
def upload(file: Path, to: str, token_file: Path | None, patience: float, as_json: bool) -> None:
    """
    Send a file to an upload server, and print its link.

    It goes on from the same byte after a cut, and when the command is run again, after a reboot too.
    """
    url = _service(to)
    name, token = _token(token_file)
    try:
        opened = file.open("rb")
    except OSError as trouble:
        raise HostError(f"{file}: {(trouble.strerror or str(trouble)).lower()}") from None
    with opened:
        is_ = os.fstat(opened.fileno())
        if not file.is_file():
            raise HostError(f"{file} is not a file")
        what = (url.geturl(), name, str(file.resolve()))
        with Unsent(home(), what, is_.st_size, is_.st_mtime_ns) as unsent:
            if unsent.changed:
                click.echo("the file has changed since a part of it was sent: it is sent anew", err=True)
            slot = f"{FOLDER}{name}/{unsent.slot}"
            called = file.name.encode("utf-8", "replace").decode()
            there = url._replace(path=quote(f"{url.path}{slot}/{called}"))

            def authorization() -> str:
                now = int(time.time())
                return "Bearer " + jwt(token, {"sub": name, "slot": slot, "filename": called, "exp": now + _OPENS,
                                               "filesize": is_.st_size, "expires": now + _LASTS})  # fmt: skip

            bar = Lines(is_.st_size) if as_json else Bar(is_.st_size, draws=sys.stderr.isatty())
            sending = Sending(over_http(there), authorization, opened, is_.st_size, bar.show, patience)
            try:
                sending.run()
            finally:
                bar.end()
            now_is = os.fstat(opened.fileno())
            unsent.done()
            if (now_is.st_size, now_is.st_mtime_ns) != (is_.st_size, is_.st_mtime_ns):
                raise HostError(f"{file} changed while it was sent: run it again")
    click.echo(_told(there.geturl(), sending) if as_json else there.geturl())


def _told(link: str, sending: Sending) -> str:
    took = {"sent": sending.sent, "cuts": sending.cuts, "went_back": sending.went_back}
    return json.dumps({"link": link, **took})


def _service(to: str) -> SplitResult:
    """:raises ConfigError: it is no address of a server."""
    try:
        url = urlsplit(to if to.endswith("/") else f"{to}/")
        good = url.scheme in ("http", "https") and url.hostname and (url.port or 1) and not (url.query or url.fragment)
    except ValueError:
        good = False
    if not good or "@" in url.netloc:
        raise ConfigError("--to takes the address of an upload server, as https://example.org/upload/")
    return url


def _token(path: Path | None) -> tuple[str, bytes]:
    """:raises ConfigError: there is none, or more than one."""
    config = os.environ.get("XDG_CONFIG_HOME", "")
    known = read_tokens(path or (Path(config) if config else Path.home() / ".config") / "morphnet/upload.token")
    if len(known) != 1:
        raise ConfigError("the token's file has more than one line: it takes yours only")
    return next(iter(known.items()))


class Bar:
    """How far it is, on a line of the terminal below 80 columns; nothing where there is no terminal."""

    def __init__(self, size: int, *, draws: bool) -> None:
        self._size, self._draws, self._drawn = size, draws, ""

    def line(self, at: int) -> str:
        """The line at that byte."""
        part = at / self._size if self._size else 1.0
        hashes = "#" * int(part * _HASHES)
        return f"{int(part * 100):3d} % [{hashes:<{_HASHES}}] {at / 1e6:.1f} of {self._size / 1e6:.1f} MB"

    def show(self, at: int) -> None:
        """Draw, if it looks different."""
        line = self.line(at)
        if self._draws and line != self._drawn:
            self._drawn = line
            click.echo(f"\r{line}", nl=False, err=True)

    def end(self) -> None:
        """The line is over."""
        if self._drawn:
            click.echo("", err=True)


class Lines:
    """The same for a program: a line for each hundredth."""

    def __init__(self, size: int) -> None:
        self._step, self._next = max(size // 100, 1), 0

    def show(self, at: int) -> None:
        """Print, if it is a hundredth further."""
        if at >= self._next:
            self._next = at + self._step
            click.echo(json.dumps({"at": at}))
            sys.stdout.flush()

    def end(self) -> None:
        """The last line is printed by who has the link."""
