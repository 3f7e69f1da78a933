"""`morphnet doctor`: what is wrong, and the line to change."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import click

from morphnet.cli import Commands
from morphnet.cli.layout import Place, dir_option
from morphnet.cli.probing import caller
from morphnet.cli.running import role_here
from morphnet.cli.uploaddoctor import REMEDIES, Finding, UploadDoctor
from morphnet.config.upload import UPLOAD_PORT, UploadConfig
from morphnet.errors import ConfigError
from morphnet.roles.upload.secrets import FOLDER, read_secrets, read_tokens
from morphnet.text import printable

doctor = Commands("doctor", {"upload": "morphnet.cli.doctor:upload"}, "Find what is wrong, and the line to change.")


@click.command()
@click.argument("url")
@click.option("--token-file", type=click.Path(path_type=Path), help="A user's token; else the server's secret is used.")
@click.option("--silence", default=15.0, show_default=True, help="Seconds that an upload is left standing still.")
@dir_option
def upload(url: str, token_file: Path | None, silence: float, place: Place) -> None:
    """
    Upload to URL (as https://example.org/upload/) through the proxy in front of it, and say what that does wrong.

    Run it where the upload server is, or with a token. Exit code: 0 when all is well, 1 when a line is to be changed.
    """
    there = _address(url)
    user, key, port = _key(place, token_file)
    looking, faults = UploadDoctor(caller(there), there.path, user, key, silence), 0
    for found in looking.findings():
        mark = "ok  " if not found.fault else ("BAD " if found.remedy else "note")
        click.echo(printable(f"{mark} {found.name}" + (f": {found.fault}" if found.fault else "")))
        faults += mark == "BAD " or (bool(found.fault) and "refuses our slot" in found.fault)
        for line in remedies(found, looking.proxy, there.path, port):
            click.echo(printable(f"       {line}"))
    raise SystemExit(1 if faults else 0)


def remedies(found: Finding, proxy: str, base: str, port: int) -> list[str]:
    """The lines to change: for that proxy, or for each where it does not say what it is."""
    if not found.remedy:
        return []
    known = REMEDIES[found.remedy]
    ours = [name for name in known if proxy.lower().startswith(name.lower())] or list(known)
    texts = ((name, known[name].format(base=base, port=port)) for name in ours)
    return [f"{name}: {line}" for name, text in texts for line in text.splitlines()]


def _address(url: str) -> SplitResult:
    """:raises ConfigError: it is none."""
    try:
        there = urlsplit(url if url.endswith("/") else f"{url}/")
        good = there.scheme in ("http", "https") and there.hostname and (there.port or 1) and not there.query
    except ValueError:
        good = False
    if not good:
        raise ConfigError("that is no address of an upload server, as https://example.org/upload/")
    return there


def _key(place: Place, token_file: Path | None) -> tuple[str, bytes, int]:
    """
    What begins the path of a slot, what signs it, and the port of the server.

    :raises ConfigError: there is neither a token nor a server here.
    """
    if token_file is not None:
        ((name, token), *_) = read_tokens(token_file).items()
        return f"{FOLDER}{name}/", token, UPLOAD_PORT
    config = role_here(place, "upload").config
    assert isinstance(config, UploadConfig)  # of that role
    return "", read_secrets(config.secret_file)[0], config.port
