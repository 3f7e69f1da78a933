"""The command lines of `twistd morph-...`, made from the dataclasses of `morphnet.config.roles`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

from twisted.python import usage

from morphnet.config.file import Setting, load, option_name, settings
from morphnet.errors import ConfigError
from morphnet.tap import logs, pidfile, places

Config = TypeVar("Config")


@dataclass(frozen=True, slots=True)
class Begin:
    """What a process cannot do without, and how a machine comes by it."""

    needs: tuple[str, ...]  # settings; one of them on the command line is enough to go on without a file
    how: str  # for who has neither: what to type, in one sentence


class ConfigOptions(usage.Options, Generic[Config]):
    """
    Options of one role: --config FILE, and one option for each setting, which overrides the file.

    After parsing, `config` is the whole configuration, and `read` reads it again.
    """

    config_class: type[Config]
    default_file: Path
    begin: Begin
    role_settings: tuple[Setting, ...]
    config: Config
    read: Callable[[], Config]

    def overrides(self) -> dict[str, str]:
        """What stood on the command line: "tuning.scheduler" -> typed text."""
        typed: dict[str, str] = {}
        for setting in self.role_settings:
            name = option_name(setting).removeprefix("--")
            if setting.kind is bool:
                if self[name] and self[f"no-{name}"]:
                    raise ConfigError(f"--{name} and --no-{name} contradict each other")
                if self[name] or self[f"no-{name}"]:
                    typed[setting.key] = "yes" if self[name] else "no"
            elif self[name] is not None:
                typed[setting.key] = self[name]
        return typed

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Read a command line.

        :raises SystemExit: after one sentence; twistd would print all options before a UsageError.
        """
        try:
            super().parseOptions(options)
        except usage.UsageError as mistake:
            text = str(mistake).rstrip(".")
            _refuse(f"{text}: see `twistd morph-{self.default_file.stem} --help`")

    def config_file(self) -> Path | None:
        """The file to read; the default one only when it is there."""
        if self["config"] is not None:
            return Path(self["config"])
        return self.default_file if self.default_file.exists() else None

    def postOptions(self) -> None:
        """
        Read the file, and see to twistd's own.

        :raises SystemExit: after one sentence.
        """
        try:
            file = self.config_file()
            named = file == self.default_file and not file.exists()  # as the units of systemd do
            if named or (file is None and not self.overrides().keys() & set(self.begin.needs)):
                raise ConfigError(f"there is no {self.default_file}: {self.begin.how}")
            self.read = partial(load, self.config_class, file.absolute() if file else None, self.overrides())
            self.config = self.read()
        except ConfigError as error:
            _refuse(str(error))
        except OSError as trouble:  # the way to the file is closed to us, or where we are was removed
            _refuse(f"{trouble.filename or 'this directory'}: {str(trouble.strerror).lower()}")
        twistd = getattr(self, "parent", None)
        if twistd is not None:
            pidfile.settle(twistd)
            if sentence := places.wrong(twistd):
                _refuse(sentence)
            logs.settle(twistd, as_json=bool(self["log-json"]))


def _refuse(sentence: str) -> NoReturn:
    """
    With a code of its own: the units in tap/systemd do not start again what the operator must change.

    Source: sysexits(3).
    """
    sys.stderr.write(f"morphnet: {sentence}\n")
    raise SystemExit(os.EX_CONFIG) from None


def _shown(setting: Setting) -> str:
    default = setting.default
    if isinstance(default, tuple):
        default = ",".join(default)
    return f"{setting.help} [{default}]" if default not in ("", None) else setting.help


def options_for(cls: type[Config], default_file: Path, begin: Begin) -> type[ConfigOptions[Config]]:
    """
    The Options class of a role, for its `tap` module; lists are typed with commas.

    :param default_file: its stem is what comes after `morph-` in the name of the command.
    """
    every = tuple(settings(cls))
    parameters: list[list[Any]] = [["config", "c", None, f"TOML file to read [{default_file}]"]]
    flags: list[list[Any]] = [["log-json", None, "log one JSON object a line, for machines"]]
    for setting in every:
        name = option_name(setting).removeprefix("--")
        if setting.kind is bool:
            flags += [
                [name, None, f"{setting.help} [{'yes' if setting.default else 'no'}]"],
                [f"no-{name}", None, "..."],
            ]
            flags[-1][2] = f"the opposite of --{name}"
        else:
            parameters.append([name, None, None, _shown(setting)])
    body = {
        "optParameters": parameters,
        "optFlags": flags,
        "config_class": cls,
        "default_file": default_file,
        "begin": begin,
        "role_settings": every,
        "__doc__": ConfigOptions.__doc__,
    }
    return type(f"{cls.__name__}Options", (ConfigOptions,), body)
