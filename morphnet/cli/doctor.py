"""`morphnet doctor`: what is wrong, and the line to change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import click

from morphnet.cli import Commands
from morphnet.cli.doctoring import machine, nats, network, running, settings, traces
from morphnet.cli.doctoring.checks import Patient, Result, examine
from morphnet.cli.layout import Place, dir_option, now
from morphnet.cli.probing import caller
from morphnet.cli.running import role_here
from morphnet.cli.uploaddoctor import REMEDIES, Finding, UploadDoctor
from morphnet.config.upload import UPLOAD_PORT, UploadConfig
from morphnet.errors import ConfigError
from morphnet.host.linux import LinuxKernel
from morphnet.roles.upload.secrets import FOLDER, read_secrets, read_tokens
from morphnet.text import printable

GROUPS = {  # in the order in which one thing rests on the other
    "machine": machine.CHECKS,
    "settings": settings.CHECKS,
    "traces": traces.CHECKS,
    "network": (*network.CHECKS, *nats.CHECKS),
    "running": running.CHECKS,
}
_MARKS = {"ok": "ok  ", "bad": "BAD ", "note": "note", "mended": "done", "unknown": "?   "}
_STYLES = {"ok": "green", "bad": "red", "note": "yellow", "mended": "green", "unknown": "yellow"}
NOTES = 3  # exit code when all works, and something could be better


@click.command()
@click.option("--fix", is_flag=True, help="Mend what can be mended without harm, and say so.")
@click.option("--json", "for_machines", is_flag=True, help="One JSON object a line, for machines.")
@dir_option
def look(fix: bool, for_machines: bool, place: Place) -> None:
    """What is wrong with this machine."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    states, group = set[str](), ""
    for result in _results(place, mend=fix):
        states.add(result.state)
        if for_machines:
            click.echo(json.dumps(asdict(result)))
            continue
        if result.group != group:
            group = result.group
            click.secho(group, bold=True)
        _tell(result)
    raise SystemExit(1 if "bad" in states else NOTES if states & {"note", "unknown"} else 0)


def _results(place: Place, *, mend: bool) -> Iterator[Result]:
    patient = Patient(place, LinuxKernel(), now())
    for group, checks in GROUPS.items():
        yield from examine(patient, group, checks, mend=mend)


def _tell(result: Result) -> None:
    mark = click.style(_MARKS[result.state], fg=_STYLES[result.state])
    click.echo(f"  {mark} {printable(result.text or result.name)}")
    if result.cure and result.state != "mended":
        click.echo(printable(f"       {result.cure}"))


_TEXT = """
Find what is wrong: with this machine, or with the proxy in front of an upload server.

Without COMMAND: this machine, its settings, its network and what runs, some forty looks, each with what to do. Exit
code: 0 when all is well, 3 when it works and could be better, 1 when something is wrong.
"""
doctor = Commands(
    "doctor",
    {"upload": "morphnet.cli.doctor:upload"},
    _TEXT,
    callback=look.callback,
    params=look.params,
    invoke_without_command=True,
)


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
