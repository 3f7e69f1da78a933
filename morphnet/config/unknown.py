"""An unknown key, in the file or on the command line, is refused: with the key that was meant, or where it belongs."""

from __future__ import annotations

import json
from collections.abc import Collection

from morphnet.config.lines import KeyPath
from morphnet.errors import ConfigError

SHOWN = 60  # characters of the key that are repeated to the operator


def refuse_unknown(at: KeyPath, known: Collection[KeyPath], where: str = "", *, table: bool = False) -> None:
    """
    Let a setting pass.

    :param known: all settings.
    :param where: file and line, as they stand before the sentence.
    :param table: a table that has settings below passes too.
    :raises ConfigError: there is none of that name.
    """
    if at not in known and not (table and any(path[: len(at)] == at for path in known)):
        raise ConfigError(f"{where}{_sentence(at, known)}")


def _sentence(at: KeyPath, known: Collection[KeyPath]) -> str:
    shown, name = json.dumps(".".join(at)[:SHOWN])[1:-1], at[-1]
    for path in known:
        if path[-1] == name and len(path) > 1:
            return f"there is no setting '{shown}' here; '{name}' belongs below [{'.'.join(path[:-1])}]"
        if path == (name,):
            return f"there is no setting '{shown}'; '{name}' belongs to the top, before the first [table]"
    here = [path[-1] for path in known if path[:-1] == at[:-1]]
    here += [path[0] for path in known if len(path) > 1 and len(at) == 1]
    import difflib  # only for who has made a mistake

    near = difflib.get_close_matches(name, here, 1)
    return f"there is no setting '{shown}'" + (f"; did you mean '{near[0]}'?" if near else "")
