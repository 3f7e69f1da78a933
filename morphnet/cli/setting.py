"""`morphnet set`: one setting changed, in the file and in the process that runs."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Any

import click

from morphnet.cli.layout import Place, dir_option
from morphnet.cli.running import CONFIGS, Role, alone, names_here, role_here
from morphnet.config.edit import with_value
from morphnet.config.file import Setting, as_toml, from_words, loads, settings
from morphnet.config.whole import INSTEAD
from morphnet.durable import rewrite
from morphnet.errors import ConfigError, HostError
from morphnet.ops import feedclient
from morphnet.rights import rights_of
from morphnet.text import printable

_SECRET = ("redis_url",)  # there may be a password in it


@click.command("set")
@click.argument("setting", required=False)
@click.argument("value", required=False)
@click.option("--role", type=click.Choice(list(CONFIGS)), help="Whose setting, where several roles have it.")
@dir_option
def set_(setting: str | None, value: str | None, role: str | None, place: Place) -> None:
    """
    Change one setting, now if that is possible.

    As in `morphnet set scheduler redundant`. A list has commas.
    Without a VALUE the present one is shown, without a SETTING all of them.
    """
    names = [role] if role is not None else names_here(place)
    if setting is None:
        for each in names:
            _show(role_here(place, each))
        return
    found, chosen = _find(place, names, setting)
    if value is None:
        click.echo(printable(f"{chosen.key} = {_shown(found, chosen)}  ({chosen.help})"))
        return
    with alone(place):
        changed = _write(found, chosen, value)
    other, now = _other(found, chosen), role_here(place, found.name)
    instead = f", in place of {other.key} = {_shown(found, other)}" if other is not None and changed else ""
    click.echo(printable(f"{chosen.key} = {_shown(now, chosen)} is in {found.file}{instead}."))
    click.echo(printable(_apply(found, chosen.key, changed=changed)))


def _show(role: Role) -> None:
    live = _live(role.name)
    click.echo(f"{role.file}" + (", where * marks what applies at once:" if live else ":"))
    for each in settings(CONFIGS[role.name]):
        click.echo(printable(f"{'*' if each.key in live else ' '} {each.key} = {_shown(role, each)}"))


def _live(name: str) -> Collection[str]:
    """What that role applies while it runs."""
    from morphnet.roles.client import node as client  # brings Twisted
    from morphnet.roles.server import node as server

    return {"client": client.LIVE, "server": server.LIVE}.get(name, frozenset())


def _shown(role: Role, setting: Setting) -> str:
    value: Any = role.config
    for name in setting.path:
        value = getattr(value, name)
    return '"..."' if setting.path[-1] in _SECRET and value else as_toml(value)


def _find(place: Place, names: Collection[str], said: str) -> tuple[Role, Setting]:
    """
    Whose setting is meant, and which: "tuning.scheduler", or "scheduler" alone where that is clear.

    :raises ConfigError: it is not clear, or there is none.
    """
    said = said.replace("-", "_")
    having = {name: found for name in names if (found := _called(name, said)) is not None}
    if not having:
        known = {each.path[-1] for name in names for each in settings(CONFIGS[name])}
        near = difflib.get_close_matches(said, known, 1)
        raise ConfigError(f"there is no setting {said[:40]!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    if len(having) > 1:
        running = [name for name in having if role_here(place, name).process()]
        if len(running) != 1:
            raise ConfigError(f"{' and '.join(having)} have {said!r}: say which by --role")
        having = {running[0]: having[running[0]]}
    ((name, setting),) = having.items()
    return role_here(place, name), setting


def _called(name: str, said: str) -> Setting | None:
    """:raises ConfigError: several are called so."""
    every = list(settings(CONFIGS[name]))
    found = [each for each in every if each.key == said] or [each for each in every if each.path[-1] == said]
    if len(found) > 1:
        raise ConfigError(f"{said!r} may be {' or '.join(each.key for each in found)}: write it in full")
    return found[0] if found else None


def _write(role: Role, setting: Setting, typed: str) -> bool:
    """
    Whether the file is another now; it is only if a process would take it.

    :raises ConfigError: it would not.
    """
    value = from_words(setting, typed, f"'{setting.key}'")
    with rights_of(role.place.root):
        before = role.file.read_bytes().decode()
        fresh = with_value(before, setting.path, as_toml(value))
        other = _other(role, setting)
        if value and other is not None:
            fresh = with_value(fresh, other.path, as_toml(other.default))
        loads(CONFIGS[role.name], fresh, role.file)
        if fresh != before:
            rewrite(role.file, fresh.encode())
    return fresh != before


def _other(role: Role, setting: Setting) -> Setting | None:
    """What is given now in the place of that one, and may not be beside it."""
    other = _called(role.name, INSTEAD.get(setting.key, ""))
    return other if other is not None and getattr(role.config, other.key) else None


def _apply(role: Role, key: str, *, changed: bool) -> str:
    """Have the process read it; in words."""
    if not role.process():
        return f"The {role.name} does not run: it applies with the next start."
    try:
        said = str(feedclient.ask(role.feed, {"ask": "reload"}).get("done", ""))
    except (ConfigError, HostError) as refused:
        raise HostError(f"it is in the file, but the running {role.name} did not take it: {refused}") from None
    if changed and key not in said:
        return f"The running {role.name} has that value already, or its command line says another: {said}."
    return f"The running {role.name} says: {said}."
