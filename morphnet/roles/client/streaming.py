"""
The server reached by TCP where UDP does not pass: one more path of the session, opened when it is needed.

Of the paths over uplinks none works: nothing has come back by any for PATIENCE from its beginning, or all that worked
have fallen silent with data on the way, or lose most of what they are given; or there is none for all that time, though
there are uplinks. Then every TCP port of the server that takes streams is called. UDP is asked all the while
(`tunnel/timers`), and has the traffic again as soon as it answers, being of a better rank; when it has worked for
ENOUGH the stream is closed. Where no TCP port of the server is reached either, a stream goes through a relay; the ports
are called now and then meanwhile. A direct one takes over from that: only when it has carried for OVERLAP the other is
closed, and should it carry nothing the other goes on.

Where the operator wants nothing to go but through a web server there are no other paths, and it is what is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from morphnet.net.admission import Admission
from morphnet.net.alpn import HttpTls
from morphnet.net.dial import Destination, Dial
from morphnet.net.gate import OpenGate
from morphnet.net.ondevice import Source
from morphnet.net.passage import NoPassage, PassageDial
from morphnet.net.peer_stream import OPEN_WITHIN, PeerStream
from morphnet.net.pump import Pump
from morphnet.net.server_stream import ClientStreams
from morphnet.net.tls import ClientTls
from morphnet.net.web import NoWay, WebDial
from morphnet.roles.client.uplink_history import Standing
from morphnet.roles.client.uplink_paths import first_level, plain_paths
from morphnet.tunnel.carrier import PASSAGE, STREAM, Carrier
from morphnet.tunnel.events import Effects, Event, PathChanged
from morphnet.tunnel.path import LOSS_OF, Path, State
from morphnet.tunnel.rtt import LossMeter
from morphnet.tunnel.scheduler import POOR
from morphnet.tunnel.session import Session
from morphnet.wire.batch import Arrival, Endpoint

if TYPE_CHECKING:
    from morphnet.net.websocket import Socket

PATIENCE = 1.0  # seconds that a path over an uplink has from its beginning
PROVES_WITHIN = 2.0  # seconds that one by TCP has, in which a lost packet is sent again
REST, LONGEST_REST = 2.0, 16.0  # seconds between the starts of two attempts; doubling
CALL_WITHIN = 5.0  # seconds for TCP
STAGGER = 0.3  # seconds between the starts of two calls of an attempt
MOST_CALLS = 6  # of one attempt
STEADY, ENOUGH = 1.0, 60.0  # seconds that UDP must have worked before calls are given up, and the stream is closed
OVERLAP = 2.0  # seconds that a direct stream must have worked before the one through a relay is closed
LOSES_OVER, LOSES_FOR = 1.0, 0.75  # seconds over which a path is POOR, and that it must have been so
UNSURE = 0.5  # divided by the root of how many packets: what chance may add to a loss, so much that it is left alone
LEAST = 20  # packets that say something


class Losing:
    """Which paths lose so much, either way, that a stream does better."""

    def __init__(self) -> None:
        self._paths: dict[int, tuple[float, LossMeter]] = {}  # since when it is in its state, and what is lost inwards
        self._poor_since: dict[int, float] = {}

    def look(self, path: Path, now: float) -> bool:
        """Whether it has been POOR for LOSES_FOR; asked now and then."""
        since, inwards = self._paths.get(path.id, (float("nan"), LossMeter(LOSS_OF)))
        if since != path.since:
            inwards = LossMeter(LOSS_OF)
            self._paths[path.id] = path.since, inwards
            self._poor_since.pop(path.id, None)
        inwards.add(path.received.seen.highest, path.received.packets, now)
        if not any(_is_poor(*meter.measured(now - LOSES_OVER)) for meter in (path.any_loss, inwards)):
            self._poor_since.pop(path.id, None)
            return False
        return now - self._poor_since.setdefault(path.id, now) >= LOSES_FOR


def _is_poor(loss: float, packets: int) -> bool:
    return packets >= LEAST and loss > POOR + UNSURE / sqrt(packets)


@dataclass(slots=True)
class _Open:
    """A stream that is open."""

    stream: PeerStream
    path: int  # number of its path
    device: str  # that it starts from; "" where it is not known


class Streaming:
    """
    At most one stream, and the attempts to open it; two for the moment in which one takes over from a relayed one.

    :param tell: (kind, sentence) for the node's history.
    :param sources: the uplinks, best first, that the operator has not cut: where a call may start from.
    :param reach: how a place is called from there.
    """

    def __init__(
        self,
        reactor: Any,
        pump: Pump,
        tell: Callable[[str, str], None],
        tls: ClientTls,
        sources: Callable[[], Sequence[Source]],
        reach: Callable[[Endpoint], Destination],
    ) -> None:
        self._reactor, self._pump, self._tell, self._sources = reactor, pump, tell, sources
        self._reach = reach
        self._tls = HttpTls(tls)
        admission: Admission[Socket] = Admission(OpenGate(reactor), "streams", within=OPEN_WITHIN)
        self.sockets = ClientStreams(self, reactor, pump.new_number, admission)
        self.session: Session | None = None
        self.passages: Callable[[], Sequence[PassageDial]] = tuple  # how the server is called through relays
        self.web: Callable[[], WebDial | None] = lambda: None  # how it is called through a web server, and not else
        self._taken = False  # whether the server takes streams
        self._places: tuple[Endpoint, ...] = ()  # where the server takes streams, the likeliest first
        self._open: _Open | None = None
        self._before: _Open | None = None  # one through a relay, from which that takes over
        self._cut: tuple[int | str, ...] = ()  # number and name of its path then, if the operator does not want it now
        self._cut_at = float("-inf")
        self._tried_at, self._next_at, self._rest = float("-inf"), float("-inf"), REST
        self._hoped_at = float("-inf")  # when there was a path over an uplink, or no uplink, the last time
        self._timers: list[IDelayedCall] = []  # of calls to come
        self._calls: list[Deferred[Any]] = []
        self._losing = Losing()
        self._told = False  # that UDP does not pass, since it last did
        self._whys: set[str] = set()  # what relays have said since then
        pump.follow(self.heard)

    # -- what changes --------------------------------------------------------------------------------------------------

    def serve(self, session: Session, hosts: Sequence[str], ports: Sequence[int]) -> None:
        """Carry `session` to the server at these addresses; none where it takes no streams."""
        if session is not self.session:
            self._give_up()  # it may have been with another server
            self._end("a new session")
            self.session, self._hoped_at = session, self._pump.now()
        self._taken = bool(ports)
        self._places = tuple(Endpoint(host, port) for host in hosts for port in ports)[:MOST_CALLS]
        self._next_at, self._rest = self._pump.now() + PATIENCE, REST  # a server that starts anew answers by UDP soon
        self.look()

    def heard(self, event: Event) -> None:
        """A path began another part of its life."""
        if not isinstance(event, PathChanged) or self.session is None or event.session != self.session.peer:
            return
        if self._open is not None and event.path == self._open.path and event.now == State.ACTIVE:
            self._rest = REST  # not before: a server may take a stream only to close it
        self.look()

    def cut(self, path: Path) -> bool:
        """The operator wants the stream left alone, if that path is its."""
        if path.id not in (held.path for held in self._held):
            return False
        self._cut, self._cut_at = (path.id, path.uplink), self._pump.now()
        self._end("the operator wants it")
        return True

    def restore(self, called: int | str) -> bool:
        """
        The operator wants it back; False when it was not cut.

        :param called: the number or the name that its path had then; the session may be another one since.
        """
        if called not in self._cut:
            return False
        self._cut = ()
        self._hurry()
        self.look()
        return True

    def idle(self) -> dict[str, Standing]:
        """That it is cut, by the name that its path had, for who looks at the uplinks."""
        return {
            name: Standing("cut", self._cut_at, f"by the operator, until `restore('{name}')`")
            for name in self._cut
            if isinstance(name, str)
        }

    def device_of(self, path: Path) -> str:
        """The device that a path of ours goes by; "" where it is not known, or no stream's."""
        return next((held.device for held in self._held if held.path == path.id), "")

    def local_of(self, door: int) -> tuple[str, int] | None:
        """Our address and port at a door, if it is the stream."""
        return next((held.stream.local[:2] for held in self._held if held.stream.number == door), None)

    def counters(self) -> dict[str, int]:
        """For the node's status."""
        return self.sockets.counters()

    def close(self) -> None:
        """Let everything go."""
        self._give_up()
        held, self._open, self._before, self.session = self._held, None, None, None
        for each in held:
            self._pump.detach(each.stream.number)
        self.sockets.close("we stop")

    # -- whether it is needed ------------------------------------------------------------------------------------------

    def look(self) -> None:
        """See to it that there is a stream if one is needed, and none if not; called now and then, and with events."""
        session, now = self.session, self._pump.now()
        if session is None or not self._taken or self._pump.tunnel.sessions.get(session.peer) is not session:
            return
        plain = first_level(plain_paths(session))
        devices = {each.device for each in self._sources()}
        for held in self._held:
            if held.device and held.device not in devices:
                self._close(held, f"{held.device} is gone")
        self._settle(now)
        if plain or not devices:
            self._hoped_at = now
        working = [path for path in plain if path.state is State.ACTIVE and not self._losing.look(path, now)]
        if working:
            # What loses most of what it is given answers now and then, and a call through a relay takes longer.
            hasty = not self.passages()
            if any(hasty or not path.life.falls or now - path.since >= STEADY for path in working):
                self._told = False
                self._whys.clear()
                self._give_up()
            if now - min(path.since for path in working) >= ENOUGH:
                self._end("UDP passes")
        elif not self._cut and not self._works(now):
            if any(path.state is State.PROBING and path.since > self._tried_at for path in plain):
                self._hurry()  # an uplink is new: what failed before may work by it
            fails = any(path.state is not State.PROBING or now - path.since >= PATIENCE for path in plain)
            if devices and now >= self._next_at and (fails or now - self._hoped_at >= PATIENCE):
                self._try(now, self.passages())
        elif not self._cut and self._is_relayed and now >= self._next_at:
            self._try(now)  # directly

    @property
    def _held(self) -> list[_Open]:
        return [each for each in (self._open, self._before) if each is not None]

    @property
    def _is_relayed(self) -> bool:
        return self._open is not None and bool(self._open.stream.relay)

    def _path(self) -> Path | None:
        return self.session.paths.get(self._open.path) if self._open is not None and self.session is not None else None

    def _works(self, now: float) -> bool:
        """Whether there is a stream, and its path is in use or is about to be."""
        path = self._path()
        if path is None:
            return False
        return path.usable or (path.state is State.PROBING and now - path.since < PROVES_WITHIN)

    def _settle(self, now: float) -> None:
        """Of a direct stream and the one through a relay before it one remains, when it has shown whether it works."""
        path = self._path()
        if self._before is None or path is None:
            return
        if not self._works(now):
            self._close(self._open, "nothing comes back by it")
        elif path.state is State.ACTIVE and now - path.since >= OVERLAP:
            self._close(self._before, "there is a direct one")

    def _hurry(self) -> None:
        self._next_at, self._rest = float("-inf"), REST

    # -- an attempt ----------------------------------------------------------------------------------------------------

    def _try(self, now: float, passages: Sequence[PassageDial] = ()) -> None:
        self._give_up()  # what is left of the last one
        self._tried_at = now
        self._next_at, self._rest = now + self._rest, min(2 * self._rest, LONGEST_REST)
        try:
            web = self.web()
        except NoWay as trouble:
            self._not_let_through(f"web server, {trouble}")
            return
        if web is not None:
            self._call(web, Endpoint(web.to.host, web.to.port))
            return
        if not self._told:
            self._told = True
            ports = ", ".join(dict.fromkeys(f"{place.port}" for place in self._places))
            relays = ", ".join(f"relay {dial.to.host}" for dial in passages)
            tried = ", ".join(filter(None, (f"TCP {ports}" if ports else "", relays)))
            self._tell("stream-tried", f"UDP does not get through to the server: trying {tried}")
        later = self._reactor.callLater
        direct = [(Dial(self._reactor, self._reach(place), CALL_WITHIN), place) for place in self._places]
        through = [(dial, Endpoint(dial.to.host, dial.to.port)) for dial in passages]
        self._timers = [later(STAGGER * turn, self._call, *way) for turn, way in enumerate((*direct, *through))]

    def begin_anew(self) -> None:
        """The server is to be called in another way, or not in this one any more."""
        self._give_up()
        self._end("another way is wanted")
        self._hurry()
        self.look()

    def _call(self, dial: Dial | PassageDial | WebDial, place: Endpoint) -> None:
        calling = dial.connect(self.sockets.calling(self._tls, place), self.sockets.proof)
        self._calls.append(calling)

        def done(outcome: object) -> None:
            self._calls.remove(calling)
            if isinstance(outcome, Failure) and outcome.check(NoPassage):
                self._not_let_through(f"relay {place.host}: {outcome.getErrorMessage()}")
            elif isinstance(outcome, Failure) and outcome.check(NoWay):
                self._not_let_through(f"web server, {outcome.getErrorMessage()}")

        calling.addBoth(done)

    def _not_let_through(self, why: str) -> None:
        """A relay has said so: once for each reason, until UDP passes."""
        if why not in self._whys:
            self._whys.add(why)
            self._tell("stream-failed", f"the server is not reached through a {why}")

    def _give_up(self) -> None:
        """End the attempt under way."""
        timers, self._timers = self._timers, []
        for timer in timers:
            if timer.active():
                timer.cancel()
        for call in list(self._calls):
            call.cancel()

    # -- what comes of it ----------------------------------------------------------------------------------------------

    def opened(self, stream: PeerStream) -> None:
        """The server has shown who it is, and so have we."""
        session, now, effects = self.session, self._pump.now(), Effects()
        works, better = self._works(now), self._is_relayed and not stream.relay
        if session is None or self._cut or (works and not better):
            stream.end("there is one already")
            return
        self._give_up()
        if works:
            self._before = self._open
        else:
            self._end("there is another")
        self._pump.attach(stream, Carrier(PASSAGE, str(stream)) if stream.relay else Carrier(STREAM, "tcp"))
        device = next((each.device for each in self._sources() if each.address == stream.local.host), "")
        name = str(stream) if stream.relay else f"tcp {device}".strip()
        path = session.open_path(stream.number, stream.source, name, now, effects)
        self._open = _Open(stream, path.id, device)
        self._tell("stream-up", f"the server is reached {'through the' if stream.relay else 'by'} {stream}")
        self._pump.carry_out(effects)
        self._pump.tunnel.poke(session, now)

    def arrived(self, arrivals: Sequence[Arrival]) -> None:
        """Datagrams of the server."""
        self._pump.from_door(arrivals)

    def lost(self, stream: PeerStream, reason: str) -> None:
        """It is gone: what was on its way goes another way at once."""
        for held in self._held:
            if held.stream is stream:
                self._leave(held)
                self._tell("stream-gone", f"{stream} is gone: {reason}")
                self.look()

    def _end(self, reason: str) -> None:
        """Close what there is."""
        for held in self._held:
            self._close(held, reason)

    def _close(self, held: _Open | None, reason: str) -> None:
        """Close this one, if it is there."""
        if held is not None:
            self._leave(held)
            self._tell("stream-gone", f"{held.stream} is closed: {reason}")
            held.stream.end(reason)

    def _leave(self, held: _Open) -> None:
        """Nothing goes by it any more; what is left is the one there is."""
        left = [each for each in self._held if each is not held]
        self._open, self._before = (left[0] if left else None), None
        session = self.session
        self._pump.detach(held.stream.number)
        if session is not None and self._pump.tunnel.sessions.get(session.peer) is session:
            now, effects = self._pump.now(), Effects()
            session.silence(held.path, now, effects)
            session.close_path(held.path, now, effects)
            self._pump.carry_out(effects)
            self._pump.tunnel.poke(session, now)
