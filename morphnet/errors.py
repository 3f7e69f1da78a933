"""The one tree of errors: who is at fault decides what happens next."""

from __future__ import annotations


class MorphnetError(Exception):
    """The root; raise a branch of it."""


class PeerError(MorphnetError):
    """The other side sent something wrong: drop it, count it, go on."""


class MalformedFrame(PeerError):
    """Bytes that do not parse as what they claim to be."""


class Forged(PeerError):
    """An authentication tag did not match."""


class Refused(PeerError):
    """The peer was understood and turned away; `reason` is safe to tell it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ConfigError(MorphnetError):
    """The operator must change something; the message is the one sentence that says what."""


class HostError(MorphnetError):
    """The machine refused something we need (a device, a route, a port); the message says what and why."""


class Away(MorphnetError):
    """What we share with other machines is out of reach for now; the message says why."""


class BugError(MorphnetError):
    """A promise inside morphnet was broken: always a traceback."""
