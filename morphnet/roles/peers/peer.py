"""One peer: how it is met, its session, and the ways to it."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from morphnet.config.roles import Tuning
from morphnet.net.limits import TokenBucket
from morphnet.net.tls import Peer as Certificate
from morphnet.rendezvous.peering import peering
from morphnet.roles.peers.doubt import Doubt
from morphnet.roles.peers.handshake import Handshake, Introduced
from morphnet.roles.peers.reaching import Reachable
from morphnet.roles.peers.relay_paths import RelayPaths
from morphnet.roles.peers.search import DirectSearch
from morphnet.roles.peers.sessions import Sessions
from morphnet.roles.peers.surroundings import Line, RelaysOfPeers, Surroundings
from morphnet.roles.peers.whereabouts import Whereabouts
from morphnet.roles.process.statuses import shown_address
from morphnet.status import Decision
from morphnet.tunnel.carrier import DIRECT, STREAM
from morphnet.tunnel.events import Effects, Event, Forgotten, Overrun, PathChanged, Reached, WayFound
from morphnet.tunnel.outbound import ControlPacket
from morphnet.tunnel.path import Path, State
from morphnet.tunnel.session import Session
from morphnet.wire.candidates import MOST_CANDIDATES, Candidate
from morphnet.wire.frames import Reach
from morphnet.wire.keys import EXPORT_LENGTH, split_export
from morphnet.wire.messages.relay import Present
from morphnet.wire.probes import EXPORT_LENGTH as PROBE_EXPORT
from morphnet.wire.probes import split_probe_export
from morphnet.wire.wordlist import spoken

FIRST_EPOCH = 1
SEARCHES, SEARCHES_AT_ONCE = 1.0, 8  # a second that the peer may have us begin
JUST_MADE = 1.0  # seconds that a session may need for its first datagram
MOST_DECISIONS = 64  # remembered
WORDS_TO_COMPARE = 6  # aloud: 48 bits
NOTHING_TO_TRY = "there was nothing to try: no address of it fits a socket of ours"


class Relays(RelaysOfPeers, Protocol):
    """Where peers are met, and what relays see of us."""

    def hurry(self) -> None:
        """What NATs make of our addresses matters now."""
        ...


class Reaching(Protocol):
    """What reaches one peer by TCP, as its `reaching.Reaching`."""

    def search(self) -> None:
        """A direct way is looked for: by TCP too."""
        ...

    def path_changed(self, path: Path, state: str) -> None:
        """A path by a stream began another part of its life."""
        ...

    def stand_in(self) -> bool:
        """If a stream works, the peer is reached by it; whether it is so."""
        ...

    def direct(self) -> None:
        """UDP passes after all."""
        ...

    def forget(self) -> None:
        """There is no session any more."""
        ...

    def stop(self) -> None:
        """Enough."""
        ...


class Streams(Protocol):
    """What reaches peers by TCP."""

    def reaching(self, peer: Reachable) -> Reaching:
        """That peer."""
        ...


class Peer:
    """
    Does what the machine of this peer decides (`rendezvous.peering`); of two peers the one whose name is lower calls.

    :param search: for direct paths to it.
    """

    def __init__(
        self,
        around: Surroundings,
        name: str,
        sessions: Sessions,
        relays: Relays,
        search: DirectSearch,
        streams: Streams,
    ) -> None:
        self.name, self.caller = name, around.ourselves.calls(name)
        self._around, self._sessions, self._relays, self._search = around, sessions, relays, search
        self.session: Session | None = None
        self.inner: tuple[str, ...] = ()  # its inner addresses, as in its certificate
        self.certificate: Certificate | None = None  # that the session began with
        self.group = ""
        self.words: tuple[str, ...] = ()
        self.decisions: deque[Decision] = deque(maxlen=MOST_DECISIONS)
        self.state = ""
        self.since = around.now()
        self.instance = ""  # of the process that the session is with, as it told itself
        self._met_at = float("-inf")
        self._doubt: Doubt | None = None  # about the session
        self._whereabouts = Whereabouts()
        self._relay_paths = RelayPaths(around, name, sessions, relays)
        self._searches = TokenBucket(SEARCHES, SEARCHES_AT_ONCE, now=around.now())
        self._handshake = Handshake(around, name, self, relays)
        self._streams = streams.reaching(self)
        self._machine = peering(self, around.clock, random.random)
        sessions.follow(name, self.heard)

    def stop(self) -> None:
        """Enough."""
        self._machine.stop()
        self._drop_session()
        self._search.stop()
        self._streams.stop()
        self._sessions.leave(self.name)

    # -- what relays tell ----------------------------------------------------------------------------------------------

    def present(self, relay: Line, said: Present) -> None:
        """It is at that relay."""
        before = set(self.candidates())
        fresh = self._whereabouts.seen(relay, said)
        if self.session is None:
            if fresh and self._handshake.busy:
                self._handshake.also(relay)
            elif fresh:
                self._machine.appeared()
            return
        self.keep_relay_paths()
        self._machine.appeared()
        if said.instance != self.instance:
            self._told_of_another(relay)
        if set(self.candidates()) - before and not self.direct_paths():
            self._search.candidates_changed(self.candidates())
            self._machine.addresses_changed("its")

    def absent(self, relay: Line) -> None:
        """It is there no more, or we are not."""
        self._whereabouts.gone(relay)
        if self.session is not None:
            self._relay_paths.lost(self.session, relay)
        self._handshake.lost(relay)
        if not self._relays.having(self.name):
            self._machine.vanished()

    def handshake(self, relay: Line, content: bytes) -> None:
        """Bytes of its handshake."""
        self._handshake.received(relay, content)

    def called(self, relay: Line) -> None:
        """It asks us to begin."""
        self._handshake.called(relay)

    def keep_relay_paths(self) -> None:
        """Relays are nearer or farther than they were, or it is at another one."""
        if self.session is not None:
            self._relay_paths.keep(self.session)

    # -- a session in doubt --------------------------------------------------------------------------------------------

    @property
    def is_proven(self) -> bool:
        """Whether it has ever shown its certificate: there is more to it than that a relay knows its name."""
        return self.certificate is not None

    def _told_of_another(self, relay: Line) -> None:
        """That relay says that the session is over for the peer. It ends when the peer shows so, by whichever way."""
        self._handshake.check(relay)
        if self._doubt is not None:
            self._doubt.ask()

    def asked_to_call(self, relay: Line) -> None:
        """The peer has no session with us, says that relay."""
        if self.session is None:
            self._machine.appeared()
        else:
            self._told_of_another(relay)

    def keeps(self, instance: str) -> str:
        """The peer itself wants a new session: the old one is kept if it is with the same process and answers."""
        session = self.session
        if session is None or self._doubt is None or instance != self.instance:
            return ""
        if session.inbound.keys.epoch < 0:  # nothing has come by it
            young = self._around.now() - self._met_at < JUST_MADE
            return "a session is just being made" if young else ""
        self._doubt.ask()
        return "we have a session, and ask by it whether it works"

    def forget(self, reason: str) -> None:
        """The session is of no use any more."""
        self._drop_session()
        self._machine.void(reason)

    def _lost(self, reason: str) -> None:
        """The peer does not have the session any more."""
        self.forget(reason)
        if self._relays.having(self.name):
            self._machine.appeared()

    def _drop_session(self) -> None:
        session, self.session, self.instance, self.words = self.session, None, "", ()
        self._streams.forget()
        self._search.end()
        if self._doubt is not None:
            self._doubt.end()
            self._doubt = None
        if session is not None:
            self._sessions.end(self.name)

    # -- the handshake: what the machine wants of it, and what comes of it ---------------------------------------------

    def greet(self) -> None:
        """Begin a handshake, or ask for one."""
        self._handshake.greet()

    def give_up(self) -> None:
        """End the handshake under way."""
        self._handshake.give_up()

    def failed_to_meet(self, reason: str) -> None:
        """A handshake came to nothing."""
        self._machine.failed(reason)

    def make_session(self, introduced: Introduced, name: bytes, tuning: Tuning) -> Session:
        """The peer is who it says: a session of that name with it, in place of any other."""
        peer, inner = introduced.peer, self._around.ourselves.foreign
        assert peer is not None  # only one who is introduced says anything
        self._drop_session()
        session = self._sessions.begin(self.name, name, tuning, inner(peer.addresses), caller=self.caller)
        session.install(*split_export(introduced.export(name, EXPORT_LENGTH)), FIRST_EPOCH, self._around.now())
        keys = split_probe_export(introduced.export(b"probes" + name, PROBE_EXPORT), caller=self.caller)
        self._search.begin(session, keys)
        self.session, self._doubt = session, Doubt(self._around, self._sessions, session, self._lost)
        self.inner, self.certificate, self.group = peer.addresses, peer, introduced.group
        self.words = spoken(introduced.export(b"words", WORDS_TO_COMPARE))
        return session

    def issue_ids(self, session: Session, number: int) -> list[bytes]:
        """So many ids by which the peer may name the session on the wire."""
        return self._sessions.issue_ids(session, number)

    def met(self, instance: str, candidates: Sequence[str]) -> None:
        """Both ends have the session now."""
        self.instance = instance
        self._whereabouts.introduced(candidates)
        self._met_at = self._around.now()
        assert self._doubt is not None  # the session was made just before
        self._doubt.expect()
        self.keep_relay_paths()
        self._machine.established()

    # -- the search for direct paths -----------------------------------------------------------------------------------

    def candidates(self) -> list[Candidate]:
        """Where it may be, what it said itself first."""
        return self._whereabouts.all()

    def direct_paths(self) -> list[Path]:
        """Those in use that need no relay."""
        return self._search.paths()

    def sockets_changed(self) -> None:
        """We have other sockets than before."""
        if self.session is not None:
            self._search.sockets_changed(self.candidates())
            self.addresses_changed()

    def addresses_changed(self) -> None:
        """We may be reached elsewhere than before."""
        self._machine.addresses_changed("our")

    def search(self) -> None:
        """Look for a direct way, and have it look as well."""
        if self.session is None:
            return
        self._search.look(self.candidates())
        self._relays.hurry()
        self.tell_candidates()
        self._streams.search()

    def tell_candidates(self) -> None:
        """Tell it where we may be reached now."""
        session, effects = self.session, Effects()
        if session is None:
            return
        packet = ControlPacket([Reach(tuple(self._around.ourselves.candidates())[:MOST_CANDIDATES])], asks=True)
        for path in session.outbound.usable_paths()[:1]:
            session.outbound.send_frames(path, packet, self._around.now(), effects)
        self._sessions.carry_out(session, effects)

    def rest(self) -> None:
        """Look no more."""
        what = self._search.rest()
        if what == "" and self.state == "searching":
            what = NOTHING_TO_TRY
        if what:
            self.decisions.append(Decision(self._around.wall(), self.state, what))

    # -- what the data plane tells -------------------------------------------------------------------------------------

    def heard(self, event: Event) -> None:
        """Something has happened to the session."""
        match event:
            case PathChanged():
                self._path_changed(event)
            case WayFound():
                self._search.way_found()
            case Reached():
                self._reached(event)
            case Forgotten():
                self.forget("its keys are too old")
            case Overrun():
                self.forget(f"closed: {event.forged} forged packets")

    def _reached(self, event: Reached) -> None:
        """It tells its addresses, and searches: so do we."""
        self._whereabouts.told(event.candidates)
        if self.session is not None and self._searches.take(now=self._around.now()):
            self._search.look(self.candidates())
            self._streams.search()

    def _path_changed(self, event: PathChanged) -> None:
        """A path began another part of its life."""
        path = self.session.paths.get(event.path) if self.session is not None else None
        if path is not None and path.rank == STREAM:
            self._streams.path_changed(path, event.now)
        if path is None or path.rank != DIRECT:
            return
        if event.now == State.ACTIVE:
            self._streams.direct()
            self._machine.found(f"{path.uplink or 'an uplink'} to {shown_address(path.remote)}")
        elif not self.direct_paths():
            self._machine.lost()
            self._streams.stand_in()

    def streamed(self, way: str) -> None:
        """A path by TCP works, and no better one."""
        self._machine.streamed(way)

    def cut(self) -> None:
        """No path by TCP works any more."""
        self._machine.cut()

    # -- what is told of it --------------------------------------------------------------------------------------------

    def entered(self, state: str, why: str) -> None:
        """One decision."""
        if state != self.state:
            self.state, self.since = state, self._around.now()
            self._around.history.tell(f"peer-{state}", self.name, f"{self.name} is {state}: {why}")
        self.decisions.append(Decision(self._around.wall(), state, why))
