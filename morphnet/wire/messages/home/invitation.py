"""What a home has to know of a coordinator to register with it, in one line that can be copied."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass

from morphnet.errors import ConfigError
from morphnet.wire.messages.home.calls import from_text, to_text

START = "morphnethome1:"
_FORMS = {
    "coordinator": re.compile(r"[^\s]{1,270}"),
    "key": re.compile(r"[A-Za-z0-9_-]{43}"),
    "page": re.compile(r"(https?://[A-Za-z0-9.:\[\]-]{1,260}(/[A-Za-z0-9._~/-]{0,200})?)?"),
    "token": re.compile(r"[A-Za-z0-9_-]{0,64}"),
}


@dataclass(frozen=True, slots=True)
class Invitation:
    """All that a home needs to know."""

    coordinator: str  # HOST:PORT, UDP
    key: str  # public, in base64url
    page: str  # https://...
    token: str  # good once, or for as many homes as were invited with it

    def line(self) -> str:
        """To be copied."""
        return START + to_text(json.dumps(asdict(self), separators=(",", ":")).encode())

    def is_same(self, other: Invitation) -> bool:
        """Whether it leads to the same coordinator."""
        return (self.coordinator, self.key) == (other.coordinator, other.key)

    @classmethod
    def read(cls, line: str) -> Invitation:
        """
        What `line` made.

        :raises ConfigError: it is none.
        """
        try:
            if not line.startswith(START):
                raise ValueError
            values = json.loads(from_text(line.removeprefix(START)))
            found = cls(**values)
            if not all(isinstance(values[name], str) and form.fullmatch(values[name]) for name, form in _FORMS.items()):
                raise ValueError
        except (ValueError, TypeError, RecursionError):
            raise ConfigError("that is no invitation: `morphnet coordinator invite` prints one") from None
        return found
