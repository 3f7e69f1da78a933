"""
Every verb of the feed and of the manhole. A new one is written here, once, and done by a method of the process.

What takes a `session` names it by the peer's certificate name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred

from morphnet.ops.verb import Answer, Field, Verb
from morphnet.status import MoveStatus, NetcheckStatus, NetworksStatus, PeerStatus, PhonesStatus, Pong

NAME = Field("name", "", needed=True)  # of a scheduler, or of a peer
PATH = Field("path", 0, needed=True, least=0, most=255, or_name=True)  # or the name of its uplink
SESSION = Field("session", "")  # "" for every one, where that makes sense
ONE_SESSION = Field("session", "", needed=True)
DRAIN_SECONDS = 5.0  # that nodes have to go to another relay, if the operator does not say


def seconds(default: float, least: float = 0.1) -> Field:
    """How long something takes."""
    return Field("seconds", default, least=least, most=3600)


class HasSessions(Protocol):
    """A process with sessions."""

    def set_scheduler(self, name: str, session: str) -> str:
        """Spread what this end sends in another way."""
        ...

    def cut_path(self, path: int | str, session: str) -> str:
        """Close a path, called by its number or its uplink, as if that had gone."""
        ...

    def restore_path(self, path: int | str, session: str) -> str:
        """Open a path again that was cut, called as it was then, whatever has changed meanwhile."""
        ...

    def rekey(self, session: str) -> str:
        """Use new keys now."""
        ...

    def drop_session(self, session: str) -> str:
        """Forget a session."""
        ...

    def trace(self, session: str, seconds: float, sink: Callable[[str], None]) -> Callable[[], None]:
        """Show one session's datagrams; what is returned stops it."""
        ...

    def reload(self) -> str:
        """Read again what may have changed on disk."""
        ...


class HasNetworks(Protocol):
    """Who knows of networks behind clients."""

    def read(self) -> Deferred[NetworksStatus]:
        """Look what is approved now."""
        ...


class HasPhones(Protocol):
    """Who knows of machines that come by WireGuard."""

    def read(self) -> Deferred[PhonesStatus]:
        """Look who may come now."""
        ...


class HasPeers(Protocol):
    """A process that meets others at relays."""

    def ping(self, name: str, seconds: float) -> Deferred[Pong]:
        """Ask a peer."""
        ...

    def why(self, name: str) -> Deferred[PeerStatus]:
        """What was decided about a peer."""
        ...

    def netcheck(self) -> Deferred[NetcheckStatus]:
        """What stands between this machine and the others."""
        ...


class HasUplinks(Protocol):
    """A process that knows how its uplinks are to be used."""

    def use_uplink(self, name: str, use: str) -> str:
        """Use one in another way from now on."""
        ...


class IsRelay(Protocol):
    """A process at which others meet."""

    def drain(self, seconds: float) -> str:
        """Have every member go elsewhere."""
        ...

    def reload(self) -> str:
        """Read again what may have changed on disk."""
        ...


class IsCoordinator(Protocol):
    """A process that introduces browsers to homes."""

    def move(self, home: str, to: str) -> Deferred[MoveStatus]:
        """Send a home elsewhere."""
        ...


def of_sessions(node: HasSessions) -> tuple[Verb, ...]:
    """What is asked of a server and of a client."""
    trace = "Show one session's datagrams as they come and go, one line for each run of them."
    return (
        Verb("scheduler", "Spread packets over the paths in another way.", (NAME, SESSION), node.set_scheduler),
        Verb(
            "cut",
            "Close a path, by its number or its uplink, as if its cable had been pulled.",
            (PATH, SESSION),
            node.cut_path,
        ),
        Verb("restore", "Open a path again that was cut, called as it was then.", (PATH, SESSION), node.restore_path),
        Verb("rekey", "Use new keys now, in every session or in one.", (SESSION,), node.rekey),
        Verb("drop", "Forget a session; its client connects again.", (ONE_SESSION,), node.drop_session),
        Verb("trace", trace, (SESSION, seconds(10.0)), node.trace, Answer.LINES),
        Verb("reload", "Read settings and revocations again; tell what needs a restart.", (), node.reload),
    )


def of_a_server(networks: HasNetworks) -> tuple[Verb, ...]:
    """What is asked of a server about networks behind its clients."""
    read = "Look which networks behind clients are approved now, and tell how it stands with each."
    return (Verb("networks", read, (), networks.read, Answer.PICTURE),)


def of_phones(phones: HasPhones) -> tuple[Verb, ...]:
    """What is asked of a server about who comes by WireGuard."""
    read = "Look who may come by WireGuard now, let nobody else in, and tell how it stands with each."
    return (Verb("phones", read, (), phones.read, Answer.PICTURE),)


def of_uplinks(node: HasUplinks) -> tuple[Verb, ...]:
    """What is asked of a client about its ways out."""
    use = "Use an uplink as normal, metered, backup, last or never; as `default` says; or `recount` what it carries."
    fields = (Field("name", "", needed=True), Field("use", "", needed=True))
    return (Verb("uplink", use, fields, node.use_uplink),)


def of_peers(node: HasPeers) -> tuple[Verb, ...]:
    """What is asked of a client about its peers."""
    picture = Answer.PICTURE
    return (
        Verb("ping", "Ask a peer by the way that traffic would take.", (NAME, seconds(10.0)), node.ping, picture),
        Verb("why", "Tell what was tried and decided about a peer.", (NAME,), node.why, picture),
        Verb("netcheck", "See what stands between this machine and the others.", (), node.netcheck, picture),
    )


def of_a_relay(node: IsRelay) -> tuple[Verb, ...]:
    """What is asked of a relay."""
    drain = "Ask every member to use another relay within so many seconds; who comes later is turned away."
    return (
        Verb("drain", drain, (seconds(DRAIN_SECONDS, least=0),), node.drain),
        Verb("reload", "Read settings and revocations again; tell what needs a restart.", (), node.reload),
    )


def of_a_coordinator(node: IsCoordinator) -> tuple[Verb, ...]:
    """What is asked of a coordinator besides `reload`."""
    move = "Have a home (its key, or 'all') register with another coordinator, of which `to` is an invitation."
    fields = (Field("home", "", needed=True), Field("to", "", needed=True))
    return (Verb("move", move, fields, node.move, Answer.PICTURE),)
