"""One peer: its session, and the ways to it."""

from __future__ import annotations

import ipaddress
import random
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall

from morphnet.config.roles import Tuning
from morphnet.net.introducer import Introducer
from morphnet.net.limits import TokenBucket
from morphnet.net.relay_client import RelayClient
from morphnet.net.tls import Peer as Certificate
from morphnet.rendezvous.acquaintance import acquaintance
from morphnet.roles.peers.handshake import Handshake
from morphnet.roles.peers.port_guess import PortGuess
from morphnet.roles.peers.tried import tried
from morphnet.roles.process.node import shown_address
from morphnet.status import Decision
from morphnet.traversal.probing import Prober, Way
from morphnet.tunnel.carrier import DIRECT, STREAM
from morphnet.tunnel.events import Effects, PathChanged, Reached, WayFound
from morphnet.tunnel.outbound import Letter
from morphnet.tunnel.path import Path, State
from morphnet.tunnel.session import Session
from morphnet.wire.keys import EXPORT_LENGTH, split_export
from morphnet.wire.notes import Reach
from morphnet.wire.places import MOST_PLACES, Place, read_places, seen_by_relay
from morphnet.wire.probes import EXPORT_LENGTH as PROBE_EXPORT
from morphnet.wire.probes import split_probe_export
from morphnet.wire.relaying import Present
from morphnet.wire.wordlist import spoken

if TYPE_CHECKING:
    from morphnet.roles.peers.mesh import Mesh

SETTLE = 0.1  # seconds after the first way that was found, in which a better one may come
FIRST_EPOCH = 1
SEARCHES, SEARCHES_AT_ONCE = 1.0, 8  # a second that the peer may have us begin
JUST_MADE = 1.0  # seconds that a session may need for its first datagram
WORKS_WITHIN = 6.0  # seconds after which one is given up by which nothing came
ASK_AT, ANSWER_WITHIN = (0.0, 0.3, 0.6), 1.2  # seconds: a session in doubt
MOST_DECISIONS = 64  # remembered
MOST_RELAY_PATHS = 2
WORDS_TO_COMPARE = 6  # aloud: 48 bits


class Peer:
    """Does what the life story of this peer decides; of two peers the one whose name is lower calls."""

    def __init__(self, mesh: Mesh, name: str) -> None:
        self.mesh, self.name = mesh, name
        self.handshake = Handshake(mesh, name, self, lambda: mesh.relays.having(name))
        self.caller = self.handshake.caller
        self.session: Session | None = None
        self.inner: tuple[str, ...] = ()  # its inner addresses, as in its certificate
        self.certificate: Certificate | None = None  # that the session began with
        self.group = ""
        self.words: tuple[str, ...] = ()
        self.decisions: deque[Decision] = deque(maxlen=MOST_DECISIONS)
        self.state = ""
        self.since = mesh.pump.now()
        self.prober: Prober | None = None
        self.places: tuple[Place, ...] = ()  # as it told us itself
        self.observed: dict[int, tuple[Place, ...]] = {}  # as relays told us, by number of the relay
        self._numbers: dict[int, int] = {}  # of its line to each relay
        self._instance = ""  # of the process that the session is with, as it told itself
        self._met_at = float("-inf")
        self._doubts: list[IDelayedCall] = []  # while the session has to show that the peer still has it
        self.port_guess = PortGuess(mesh, name)
        self._searches = TokenBucket(SEARCHES, SEARCHES_AT_ONCE, now=mesh.clock.seconds())
        self._choosing: IDelayedCall | None = None
        self.story = acquaintance(self, mesh.clock, random.random)

    # -- what relays tell ----------------------------------------------------------------------------------------------

    def present(self, relay: RelayClient, said: Present) -> None:
        """It is at that relay."""
        before, fresh = set(self.all_places()), self._numbers.get(relay.number) != said.number
        self.observed[relay.number] = seen_by_relay(said.observed, relay.address)
        self._numbers[relay.number] = said.number
        if self.session is None:
            if fresh and self.handshake.busy:
                self.handshake.also(relay)
            elif fresh:
                self.story.appeared()
            return
        self.keep_relay_paths()
        self.story.appeared()
        if said.instance != self._instance:
            self._told_of_another(relay)
        if set(self.all_places()) - before and not self.direct_paths():
            self._use_places()
            self.port_guess.renew()
            self.story.addresses_changed("its")

    def absent(self, relay: RelayClient) -> None:
        """It is there no more, or we are not."""
        self.observed.pop(relay.number, None)
        self._numbers.pop(relay.number, None)
        self._silence(relay)
        self.handshake.lost(relay)
        if not self.mesh.relays.having(self.name):
            self.story.vanished()

    def forget(self, reason: str) -> None:
        """The session is of no use any more."""
        self._drop_session()
        self.story.void(reason)

    @property
    def is_proven(self) -> bool:
        """Whether it has ever shown its certificate: there is more to it than that a relay knows its name."""
        return self.certificate is not None

    # -- a session in doubt --------------------------------------------------------------------------------------------

    def _told_of_another(self, relay: RelayClient) -> None:
        """That relay says that the session is over for the peer. It ends when the peer shows so, by whichever way."""
        self.handshake.check(relay)
        self._doubt()

    def asked_to_call(self, relay: RelayClient) -> None:
        """The peer has no session with us, says that relay."""
        if self.session is None:
            self.story.appeared()
        else:
            self._told_of_another(relay)

    def keeps(self, instance: str) -> str:
        """The peer itself wants a new session: the old one is kept if it is with the same process and answers."""
        session = self.session
        if session is None or instance != self._instance:
            return ""
        if session.inbound.keys.epoch < 0:  # nothing has come by it
            young = self.mesh.clock.seconds() - self._met_at < JUST_MADE
            return "a session is just being made" if young else ""
        self._doubt()
        return "we have a session, and ask by it whether it works"

    def _doubt(self) -> None:
        """Ask by the session itself; if nothing comes, it is forgotten, and there is another one."""
        session = self.session
        if session is None or any(each.active() for each in self._doubts):
            return
        later = self.mesh.clock.callLater
        self._doubts = [later(delay, self._ask, session) for delay in ASK_AT]
        self._doubts.append(
            later(ANSWER_WITHIN, self._judge, session, session.heard_at, "the peer has lost the session")
        )

    def _ask(self, session: Session) -> None:
        if self.session is session:
            effects = Effects()
            session.greet(self.mesh.pump.now(), effects)
            self.mesh.carry_out(session, effects)

    def _judge(self, session: Session, heard_at: float, reason: str) -> None:
        """If nothing has come since then, the session is forgotten."""
        if self.session is session and session.heard_at <= heard_at:
            self.forget(reason)
            if self.mesh.relays.having(self.name):
                self.story.appeared()

    def _drop_session(self) -> None:
        session, self.session, self._instance, self.words = self.session, None, "", ()
        self.mesh.streams.forget(self.name)
        if self.prober is not None:
            self.mesh.pump.tunnel.drop_asker(self.prober.keys.id, self.prober)
            self.prober = None
        if session is not None:
            self.mesh.pump.tunnel.drop_session(self.name)
            self.mesh.names_changed()

    # -- the introduction ----------------------------------------------------------------------------------------------

    def greet(self) -> None:
        """Begin a handshake, or ask for one."""
        self.handshake.greet()

    def give_up(self) -> None:
        """End the handshake under way."""
        self.handshake.give_up()

    def failed_to_meet(self, reason: str) -> None:
        """A handshake came to nothing."""
        self.story.failed(reason)

    # -- the session ---------------------------------------------------------------------------------------------------

    def make_session(self, introducer: Introducer, name: bytes, tuning: Tuning) -> Session:
        """The peer is who it says: a session of that name with it, in place of any other."""
        mesh, peer = self.mesh, introducer.peer
        assert peer is not None  # only one who is introduced says anything
        self._drop_session()
        tunnel, now = mesh.pump.tunnel, mesh.pump.now()
        inner = [ipaddress.ip_address(each).packed for each in mesh.foreign(peer.addresses)]
        session = self.session = tunnel.add_session(self.name, name, tuning, inner, server=not self.caller)
        session.equals, session.heard_at = True, now
        session.install(*split_export(introducer.export(name, EXPORT_LENGTH)), FIRST_EPOCH, now)
        keys = split_probe_export(introducer.export(b"probes" + name, PROBE_EXPORT), caller=self.caller)
        self.prober = Prober(self.name, keys, mesh.entropy, mesh.courtesy)
        tunnel.add_asker(keys.id, self.prober)
        self.inner, self.certificate, self.group = peer.addresses, peer, introducer.group
        self.words = spoken(introducer.export(b"words", WORDS_TO_COMPARE))
        return session

    def met(self, instance: str, places: Sequence[str]) -> None:
        """Both ends have the session now."""
        self._instance, self.places = instance, read_places(places)
        self._met_at, session = self.mesh.clock.seconds(), self.session
        assert session is not None  # made just before
        self.mesh.clock.callLater(WORKS_WITHIN, self._judge, session, session.heard_at, "nothing came by the session")
        self.keep_relay_paths()
        self.mesh.names_changed()
        self.story.established()

    def keep_relay_paths(self) -> None:
        """The caller opens a path through each of the nearest relays where both are."""
        session, effects = self.session, Effects()
        if session is None or not self.caller:
            return
        now, doors = self.mesh.pump.now(), {path.door for path in session.paths.values()}
        for relay in self.mesh.relays.having(self.name)[:MOST_RELAY_PATHS]:
            if relay.number not in doors:
                session.open_path(relay.number, self.mesh.endpoint(self.name), f"relay {relay.host}", now, effects)
            else:
                for path in session.paths.values():
                    if path.door == relay.number and path.state in (State.SILENT, State.PROBING):
                        path.probe_at = now
        self.mesh.carry_out(session, effects)

    def _silence(self, relay: RelayClient) -> None:
        """That relay is gone, for us or for the peer: do not wait to find out."""
        session, effects = self.session, Effects()
        if session is None:
            return
        for path in list(session.paths.values()):
            if path.door == relay.number:
                session.silence(path.id, self.mesh.pump.now(), effects)
        self.mesh.carry_out(session, effects)

    # -- the search for direct ways ------------------------------------------------------------------------------------

    def all_places(self) -> list[Place]:
        """Where it may be, what it said itself first."""
        found = dict.fromkeys(self.places)
        for observed in self.observed.values():
            found.update(dict.fromkeys(observed))
        return list(found)[:MOST_PLACES]

    def _use_places(self) -> None:
        if self.prober is not None:
            self.prober.use(self.mesh.doors.families, self.all_places(), self.mesh.pump.now())
            self.mesh.pump.carry_out(Effects())

    def doors_changed(self) -> None:
        """We have other sockets than before."""
        if self.session is None:
            return
        effects, now = Effects(), self.mesh.pump.now()
        for path in list(self.session.paths.values()):
            if path.rank == DIRECT and not self.mesh.has_door(path.door):
                self.session.silence(path.id, now, effects)
        self.mesh.carry_out(self.session, effects)
        self._use_places()
        self.port_guess.renew()
        self.story.addresses_changed("our")

    def search(self) -> None:
        """Look for a direct way, and have it look as well."""
        session, prober = self.session, self.prober
        if session is None or prober is None:
            return
        self._use_places()
        prober.search(self.mesh.pump.now())
        if not self.direct_paths():
            self.port_guess.begin(prober, self.all_places())
        self.mesh.relays.hurry()
        self.tell_places()
        self.mesh.streams.search(self)

    def tell_places(self) -> None:
        """Tell it where we may be reached now."""
        session, effects = self.session, Effects()
        if session is None:
            return
        letter = Letter([Reach(tuple(self.mesh.places())[:MOST_PLACES])], asks=True)
        for path in session.outbound.candidates()[:1]:
            session.outbound.say(path, letter, self.mesh.pump.now(), effects)
        self.mesh.carry_out(session, effects)

    def rest(self) -> None:
        """Look no more."""
        self.port_guess.end()
        if self.prober is not None:
            nothing = "there was nothing to try: no address of it fits a socket of ours"
            what = tried(self.prober.ways.values()) or (nothing if self.state == "searching" else "")
            if what:
                self.decisions.append(Decision(self.mesh.wall(), self.state, what))
            self.prober.rest()

    def reached(self, event: Reached) -> None:
        """It tells its addresses, and searches: so do we."""
        self.places = event.places
        if self.prober is not None and self._searches.take(now=self.mesh.clock.seconds()):
            self._use_places()
            self.prober.search(self.mesh.pump.now())
            if not self.direct_paths():
                self.port_guess.begin(self.prober, self.all_places())
            self.mesh.pump.carry_out(Effects())
            self.mesh.streams.search(self)

    def way_found(self, event: WayFound) -> None:
        """A probe was answered: the best way is taken after a moment, by the caller or by who has to move."""
        if (self.caller or self._must_move()) and self._choosing is None:
            self._choosing = self.mesh.clock.callLater(SETTLE, self._choose)

    def _choose(self) -> None:
        """One path for each uplink by which the peer was reached."""
        self._choosing = None
        session, prober, effects = self.session, self.prober, Effects()
        if session is None or prober is None:
            return
        for uplink, way in self._best_ways(prober).items():
            self._take(session, uplink, way, effects)
        self.mesh.carry_out(session, effects)

    def _best_ways(self, prober: Prober) -> dict[str, Way]:
        best: dict[str, Way] = {}
        for way in prober.proven():
            uplink = self.mesh.pump.carrier(way.door).name
            if uplink and (uplink not in best or prober.better(way, best[uplink])):
                best[uplink] = way
        return best

    def _take(self, session: Session, uplink: str, way: Way, effects: Effects) -> None:
        now = self.mesh.pump.now()
        known = next((path for path in session.paths.values() if path.uplink == uplink and path.rank == DIRECT), None)
        if known is not None and known.state is State.CLOSED:
            known = None
        must = known is not None and self.mesh.doors.is_leaving(known.door)
        if not (self.caller or must):
            return
        if known is None:
            session.open_path(way.door, way.remote, uplink, now, effects)
        elif (known.door, known.remote) != (way.door, way.remote):
            assert way.rtt is not None  # or it would not be the best
            if must or not known.usable or way.rtt < 0.7 * (known.rtt.smoothed or 1.0):
                session.move_path(known.id, way.door, way.remote, now, effects)

    def _must_move(self) -> bool:
        """Whether a direct path goes by a socket that will be closed."""
        return any(self.mesh.doors.is_leaving(path.door) for path in self.direct_paths())

    # -- what the data plane tells -------------------------------------------------------------------------------------

    def direct_paths(self) -> list[Path]:
        """Those in use that need no relay."""
        paths = self.session.paths.values() if self.session is not None else ()
        return [path for path in paths if path.rank == DIRECT and path.state is State.ACTIVE]

    def path_changed(self, event: PathChanged) -> None:
        """A path began another part of its life."""
        path = self.session.paths.get(event.path) if self.session is not None else None
        if path is not None and path.rank == STREAM:
            self.mesh.streams.path_changed(self, path, event.now)
        if path is None or path.rank != DIRECT:
            return
        if event.now == State.ACTIVE:
            self.mesh.streams.direct(self)
            self.story.found(f"{path.uplink or 'an uplink'} to {shown_address(path.remote)}")
        elif not self.direct_paths():
            self.story.lost()
            self.mesh.streams.stand_in(self)

    # -- words ---------------------------------------------------------------------------------------------------------

    def told(self, state: str, why: str) -> None:
        """One decision."""
        now = self.mesh.wall()
        if state != self.state:
            self.state, self.since = state, self.mesh.pump.now()
            self.mesh.tell(f"peer-{state}", self.name, f"{self.name} is {state}: {why}")
        self.decisions.append(Decision(now, state, why))

    def stop(self) -> None:
        """Enough."""
        self.story.stop()
        self.port_guess.end()
        for timer in (self._choosing, *self._doubts):
            if timer is not None and timer.active():
                timer.cancel()
        self._drop_session()
