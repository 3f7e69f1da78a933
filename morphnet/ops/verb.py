"""What a verb is: what can be asked of a running process, with its fields. The table of them is in `ops/verbs`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from morphnet.errors import ConfigError

LONGEST_NAME = 64  # characters of what is meant by a name instead of a number
_NAMES = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}


class Answer(Enum):
    """What comes of a verb."""

    SENTENCE = "one sentence, at once"
    PICTURE = "a Deferred of one of the pictures in morphnet.status"
    LINES = "lines of text, given to `sink`; calling what is returned stops them"


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that a verb may be told."""

    name: str
    default: Any  # str, int, float or bool: of that type are all its values
    needed: bool = False  # else the default holds
    least: float = float("-inf")  # of a number
    most: float = float("inf")
    or_name: bool = False  # a number that may be said by a name instead, of at most LONGEST_NAME characters

    def checked(self, value: Any) -> Any:
        """
        The value, if it is one for this field.

        :raises ConfigError: it is not.
        """
        if self.or_name and isinstance(value, str) and 0 < len(value) <= LONGEST_NAME:
            return value
        wanted = type(self.default)
        fits = isinstance(value, (int, float)) if wanted is float else isinstance(value, wanted)
        if not fits or (isinstance(value, bool) and wanted is not bool):
            raise ConfigError(f"{self.name!r} must be {_NAMES[wanted]}{' or a name' if self.or_name else ''}")
        if wanted in (int, float):
            if not self.least <= value <= self.most:  # NaN is refused here too
                raise ConfigError(f"{self.name!r} must be between {self.least:g} and {self.most:g}")
            return wanted(value)
        if self.needed and wanted is str and not value:
            raise ConfigError(f"{self.name!r} must not be empty")
        return value


@dataclass(frozen=True, slots=True)
class Verb:
    """
    One thing that a process does when it is asked.

    :param call: takes the fields by their names, and `sink` if it answers with lines. It raises ConfigError with one
        sentence when it is asked for something that is not there.
    """

    name: str
    help: str  # one sentence
    fields: tuple[Field, ...]
    call: Callable[..., Any]
    answer: Answer = Answer.SENTENCE

    def filled(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """
        What was said, checked, and the defaults of the rest.

        :raises ConfigError: a value is wrong, or one is missing.
        """
        found = {}
        for field in self.fields:
            if field.name in said:
                found[field.name] = field.checked(said[field.name])
            elif field.needed:
                raise ConfigError(f"{self.name} needs {field.name!r}")
            else:
                found[field.name] = field.default
        return found
