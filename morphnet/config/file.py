"""The dataclasses of `morphnet.config.roles` from TOML and from the command line, and back to TOML with comments."""

from __future__ import annotations

import json
import math
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints

from morphnet.config.checks import Check
from morphnet.config.lines import KeyPath, key_lines
from morphnet.config.unknown import refuse_unknown
from morphnet.config.whole import check_whole
from morphnet.errors import ConfigError

LONGEST = 1 << 20  # bytes of a configuration file

Config = TypeVar("Config")

_REQUIRED = {"ServerConfig": ("name",), "RelayConfig": ("name",)}
_YES, _NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")
_KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: 'a string in "quotes"',
    Path: 'a path in "quotes"',
    tuple[str, ...]: 'a list of strings, ["like", "this"]',
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One field of a configuration, its tables flattened."""

    path: KeyPath  # ("tuning", "scheduler")
    kind: Any  # bool, int, float, str, Path or tuple[str, ...]
    default: Any
    help: str
    choices: tuple[str, ...]
    check: Check | None
    may_be_zero: bool  # a number; all others are greater
    reads: Callable[[object], object] | None = None  # what else a file may say, as what it stands for
    tables: KeyPath | None = None  # the setting that is meant by tables of this name

    @property
    def key(self) -> str:
        """As in "tuning.scheduler"."""
        return ".".join(self.path)


def settings(cls: type[Any], table: KeyPath = ()) -> Iterator[Setting]:
    """Every setting of a configuration, tables last, as the dataclass declares them."""
    hints = get_type_hints(cls)
    for each in fields(cls):
        kind = hints[each.name]
        if is_dataclass(kind):
            yield from settings(cast("type[Any]", kind), (*table, each.name))
        else:
            choices = tuple(each.metadata.get("choices", ()))
            shown = each.metadata.get("help", "")
            check, zero = each.metadata.get("check"), each.metadata.get("least") == 0
            reads = each.metadata.get("reads")
            tables = each.metadata.get("tables")
            yield Setting((*table, each.name), kind, _default(each), shown, choices, check, zero, reads, tables)


def _default(each: Field[Any]) -> Any:
    return each.default if each.default is not MISSING else cast("Any", each.default_factory)()


def load(cls: type[Config], path: Path | None, overrides: Mapping[str, str] | None = None) -> Config:
    """
    The configuration: defaults, over them the file, over it the command line.

    :param path: of the TOML file; None for none. Relative paths in it start at its directory.
    :param overrides: "tuning.scheduler" -> what the operator typed.
    :raises ConfigError: one sentence with file and line.
    """
    return loads(cls, "" if path is None else _read(path), path, overrides)


def loads(cls: type[Config], text: str, path: Path | None, overrides: Mapping[str, str] | None = None) -> Config:
    """
    The same from the text of a file.

    :param path: where it stands, for the sentences; None when there is no file.
    :raises ConfigError: as `load`.
    """
    known = {setting.path: setting for setting in settings(cls)}
    values: dict[KeyPath, Any] = {}
    lines: dict[KeyPath, int] = {}
    if path is not None:
        document = _parse(path, text)
        lines = key_lines(text)
        _take(path, document, known, values, lines)
    for key, typed in (overrides or {}).items():
        values[tuple(key.split("."))] = _typed(known, key, typed)
        lines.pop(tuple(key.split(".")), None)

    def where(key: str) -> str:
        line = lines.get(tuple(key.split(".")))
        return f"{path}, line {line}: " if line else (f"{path}: " if path else "")

    for name in _REQUIRED.get(cls.__name__, ()):
        if not values.get((name,)):
            way = f"write it into the configuration file, or give {option_name(known[(name,)])}"
            raise ConfigError(f"{where(name)}'{name}' is missing ({known[(name,)].help}); {way}")
    built = _build(cls, (), values)
    wrong = check_whole(built)
    if wrong is not None:
        raise ConfigError(f"{where(wrong[0])}{wrong[1]}")
    return built


def _build(cls: type[Config], table: KeyPath, values: Mapping[KeyPath, Any]) -> Config:
    chosen: dict[str, Any] = {}
    hints = get_type_hints(cls)
    for each in fields(cast("Any", cls)):
        at = (*table, each.name)
        if is_dataclass(hints[each.name]):
            chosen[each.name] = _build(hints[each.name], at, values)
        elif at in values:
            chosen[each.name] = values[at]
    return cls(**chosen)


# -- the file ---------------------------------------------------------------------------------------------------------


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST + 1)
        if len(content) > LONGEST:
            raise ConfigError(f"{path}: longer than {LONGEST >> 20} MiB is no configuration")
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}, line {line}: not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except ValueError:  # a NUL byte in the path
        raise ConfigError(f"{str(path)!r} is no path of a file") from None


def _parse(path: Path, text: str) -> dict[str, Any]:
    text = text.replace("\r\n", "\n")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what, _, place = str(error).rpartition(" (at ")
        line = place.removeprefix("line ").partition(",")[0].rstrip(")")
        number = line if line.isdigit() else str(text.rstrip("\n").count("\n") + 1)
        raise ConfigError(f"{path}, line {number}: {_lower(what or str(error))}") from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply") from None
    except ValueError as error:  # a number of thousands of digits
        raise ConfigError(f"{path}: {_lower(str(error).partition(';')[0])}") from None


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _take(
    file: Path,
    document: Mapping[str, Any],
    known: Mapping[KeyPath, Setting],
    values: dict[KeyPath, Any],
    lines: Mapping[KeyPath, int],
    table: KeyPath = (),
) -> None:
    """Move one table of the document into `values`."""
    for name, value in document.items():
        at = (*table, name)
        line = next((lines[at[:n]] for n in range(len(at), 0, -1) if at[:n] in lines), 1)
        where = f"{file}, line {line}: "
        refuse_unknown(at, known, where, table=True)
        if at in known:
            at = (known[at].tables or at) if isinstance(value, dict) else at
            values[at] = _from_toml(known[at], value, where, file.absolute().parent)
        elif isinstance(value, dict):
            _take(file, value, known, values, lines, at)
        else:
            raise ConfigError(f"{where}'{name}' is a table: write [{name}] and its settings below")


def _from_toml(setting: Setting, value: Any, where: str, base: Path) -> Any:
    kind = setting.kind
    if setting.reads is not None:
        value = setting.reads(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 1 << 63 else math.inf
    if kind is Path and isinstance(value, str):
        value = base / value
    if kind == tuple[str, ...] and isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = tuple(value)
    plain = tuple if kind == tuple[str, ...] else kind
    if not isinstance(value, plain) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{where}'{setting.path[-1]}' must be {_KINDS[kind]}")
    return _checked(setting, value, f"{where}'{setting.path[-1]}'")


def _checked(setting: Setting, value: Any, said: str) -> Any:
    if setting.choices and value not in setting.choices:
        import difflib  # only for who has made a mistake

        near = difflib.get_close_matches(value, setting.choices, 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ConfigError(f"{said} must be one of {', '.join(setting.choices)}{hint}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{said} must be a finite number")
    if setting.kind in (int, float) and (value < 0 or (value == 0 and not setting.may_be_zero)):
        raise ConfigError(f"{said} must be {'0 or more' if setting.may_be_zero else 'greater than 0'}")
    wrong = setting.check(value) if setting.check is not None else None
    if wrong is None and setting.kind is Path and "\0" in os.fspath(value):
        wrong = "contains a NUL"
    if wrong is not None:
        raise ConfigError(f"{said} {wrong}")
    return value


# -- the command line -------------------------------------------------------------------------------------------------


def _typed(known: Mapping[KeyPath, Setting], key: str, typed: str) -> Any:
    """What the operator typed for a setting; relative paths start at the working directory."""
    at = tuple(key.split("."))
    refuse_unknown(at, known)
    return from_words(known[at], typed, f"option {option_name(known[at])}")


def from_words(setting: Setting, typed: str, said: str) -> Any:
    """
    The value of a setting that an operator typed; a list has commas.

    :param said: how the sentence begins that says what is wrong.
    :raises ConfigError: it is no value of this setting.
    """
    value: Any = typed
    try:
        if setting.kind is bool:
            value = {**dict.fromkeys(_YES, True), **dict.fromkeys(_NO, False)}[typed.lower()]
        elif setting.kind in (int, float):
            value = setting.kind(typed)
        elif setting.kind is Path:
            value = Path(typed).absolute()
        elif setting.kind == tuple[str, ...]:
            value = tuple(part.strip() for part in typed.split(",") if part.strip())
    except (KeyError, ValueError):
        wanted = "yes or no" if setting.kind is bool else _KINDS[setting.kind]
        raise ConfigError(f"{said} must be {wanted}, not {typed[:40]!r}") from None
    return _checked(setting, value, said)


def option_name(setting: Setting) -> str:
    """The name of a setting's option: --scheduler, --control-port, --manhole-listen, --manhole."""
    parts = setting.path[1:] if setting.path[0] == "tuning" else setting.path
    if len(parts) > 1 and parts[-1] == "enabled":
        parts = parts[:-1]
    return "--" + "-".join(parts).replace("_", "-")


# -- writing ----------------------------------------------------------------------------------------------------------


def render(cls: type[Any], values: Mapping[str, Any], *, intro: str = "") -> str:
    """
    A commented TOML file with every setting; what is not in `values` stands there as a comment with its default.

    :param values: "tuning.scheduler" -> value, or nested: "tuning" -> {"scheduler": value}.
    :param intro: goes into comments at the top; may have several lines.
    :raises ConfigError: a value that `load` would refuse.
    """
    known = {setting.key: setting for setting in settings(cls)}
    values, paths = _flat(values), [setting.path for setting in known.values()]
    for key in values:
        refuse_unknown(tuple(key.split(".")), paths)
    out = [f"# {line}".rstrip() for line in intro.splitlines()]
    table: KeyPath = ()
    for setting in known.values():
        if setting.path[:-1] != table:
            table = setting.path[:-1]
            out += ["", f"[{'.'.join(table)}]"]
        value = values.get(setting.key, setting.default)
        if setting.key in values:
            _checked(setting, value, f"'{setting.key}'")
        mark = "" if setting.key in values else "#"
        out += ["", f"# {setting.help}", f"{mark}{setting.path[-1]} = {as_toml(value)}"]
    return "\n".join(out).lstrip("\n") + "\n"


def _flat(values: Mapping[str, Any], table: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat.update(_flat(value, f"{table}{name}.") if isinstance(value, Mapping) else {f"{table}{name}": value})
    return flat


def as_toml(value: Any) -> str:
    """The value of a setting as it stands in the file."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(as_toml(item) for item in value) + "]"
    # A JSON string is a TOML basic string, besides DEL, which TOML wants escaped, and surrogate pairs.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
