"""Streams to peers: TCP for when UDP does not pass, listened for, called, and met half way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import IDelayedCall, IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure

from morphnet.errors import HostError
from morphnet.net.gate import Gate
from morphnet.net.listen import listen_shared
from morphnet.net.meet_tcp import MeetTcp
from morphnet.net.ondevice import OnDevice, Source
from morphnet.net.peer_stream import PeerStream, StreamPort
from morphnet.net.tls import PeersTls, PeerTls
from morphnet.tunnel.carrier import STREAM as STREAM_RANK
from morphnet.tunnel.carrier import Carrier
from morphnet.tunnel.events import Effects
from morphnet.tunnel.path import Path, State
from morphnet.wire.batch import Arrival, Endpoint
from morphnet.wire.places import LINE, STREAM, Place

if TYPE_CHECKING:
    from morphnet.roles.peers.mesh import Mesh
    from morphnet.roles.peers.peer import Peer

PATIENCE = 1.5  # seconds of a search by UDP alone, where UDP may pass
REST = 5.0  # seconds at least between the starts of two attempts: there may be one who ends every stream
MOST_CALLS = 6  # of one attempt
SYNS = 2  # packets of a call that nobody answers, within CALL_WITHIN
STAGGER = 0.2  # seconds between the starts of two of them
CALL_WITHIN = 3.0  # seconds for TCP, and for the meeting half way
ENOUGH = 60.0  # seconds that a way by UDP must have worked before the stream is closed
PROVE_WITHIN = 2.0  # seconds that a stream has to show life when its path fell silent
MOST_HELD = 4  # of one peer at the end that was called, until the caller has ended all but one

Listen = Callable[[Gate, str, int, Any, str], IListeningPort | None]


@dataclass(slots=True)
class _Reaching:
    """What is done to reach one peer, and what has come of it."""

    waiting: IDelayedCall | None = None  # for the next attempt
    timers: list[IDelayedCall] = field(default_factory=list)  # of calls to come
    calls: list[Deferred[None]] = field(default_factory=list)
    meetings: list[MeetTcp] = field(default_factory=list)
    streams: dict[int, PeerStream] = field(default_factory=dict)  # by number, the oldest first
    closing: IDelayedCall | None = None
    begun_at: float = float("-inf")  # the last attempt

    @property
    def content(self) -> bool:
        """Whether no further attempt is wanted: there is a stream, or one is to begin."""
        return bool(self.streams) or (self.waiting is not None and self.waiting.active())

    def give_up(self) -> None:
        """End the attempt under way, and begin no other."""
        for timer in (self.waiting, *self.timers):
            if timer is not None and timer.active():
                timer.cancel()
        for call in list(self.calls):
            call.cancel()
        for meeting in self.meetings:
            meeting.stop()
        self.timers, self.meetings = [], []

    def stay(self) -> None:
        """The stream is not to be closed after all."""
        if self.closing is not None and self.closing.active():
            self.closing.cancel()
        self.closing = None


class Streams:
    """
    Those of one mesh; of two peers the caller chooses the one that is used.

    :param listen: opens a port that sockets of ours may call from.
    """

    _log = Logger()
    meeting = MeetTcp  # half way
    on_device: Callable[[Any, str], Any] = OnDevice

    def __init__(self, mesh: Mesh, reactor: Any, listen: Listen = listen_shared) -> None:
        self._mesh, self._reactor, self._listen = mesh, reactor, listen
        self._shown = mesh.identity()
        self._tls = PeersTls(self._shown, self._knows, mesh.is_revoked)
        self.port = StreamPort(self._tls, self, reactor, mesh.pump.new_number)
        self._listening: dict[Source, IListeningPort] = {}
        self._reaching: dict[str, _Reaching] = {}

    def _knows(self, name: str) -> bool:
        peer = self._mesh.peers.get(name)
        return peer is not None and peer.session is not None

    # -- where we are --------------------------------------------------------------------------------------------------

    def sources_are(self, sources: Sequence[Source]) -> None:
        """Listen on these addresses, and on no others."""
        if not self._mesh.config.streams:
            return
        for source in self._listening.keys() - set(sources):
            self._close(source)
        for source in sources:
            if source not in self._listening:
                device, host = source
                try:
                    port = self._listen(self.port.gate, host, self._mesh.config.stream_port, self.port.factory, device)
                except HostError as problem:
                    self._log.warn("no streams by {host}: {problem}", host=host, problem=str(problem))
                    continue
                if port is not None:
                    self._listening[source] = port

    def _close(self, source: Source) -> None:
        """The address is gone, and all that leads by it."""
        port = self._listening.pop(source)
        Deferred.fromCoroutine(_stopped(port)).addErrback(
            lambda failure: self._log.failure("a port for streams did not close", failure)
        )
        for stream in list(self.port.streams.values()):
            if stream is not None and stream.local.host == source.address:
                stream.drop("our address is gone")

    def places(self) -> list[Place]:
        """
        Where we listen, and where that may be seen from outside: at the address that a relay sees us at, by the same
        port, which is so where a router lets strangers in, or answers, and keeps ports. That address is told as one of
        our lines as well: a relay that speaks of a private one is not believed, we are.
        """
        ports = {source.address: port.getHost().port for source, port in self._listening.items()}  # type: ignore[attr-defined]
        found = {Place(STREAM, *each): None for each in ports.items()}
        lines = [(ports[local], line.host) for local, line in self._mesh.relays.lines() if local in ports]
        return list(found | {Place(kind, host, port): None for port, host in lines for kind in (STREAM, LINE)})

    def of_door(self, number: int) -> PeerStream | None:
        """The stream that is that door."""
        return next((each.streams[number] for each in self._reaching.values() if number in each.streams), None)

    # -- an attempt ----------------------------------------------------------------------------------------------------

    def search(self, peer: Peer) -> None:
        """A direct way is looked for: after a while, or at once where UDP has never passed, by TCP too."""
        reaching = self._reaching.setdefault(peer.name, _Reaching())
        if not self._mesh.config.streams or reaching.content or peer.direct_paths():
            return
        self._show_latest()  # the peer may call us before we call it
        patience = 0.0 if self._mesh.relays.udp_is_blocked() else PATIENCE
        rest = reaching.begun_at + REST - self._mesh.clock.seconds()
        reaching.waiting = self._mesh.clock.callLater(max(patience, rest), self._try, peer, reaching)

    def _show_latest(self) -> None:
        identity = self._mesh.identity()
        if identity != self._shown:
            self._shown = identity
            self._tls.use(identity)

    def _try(self, peer: Peer, reaching: _Reaching) -> None:
        if reaching.streams or peer.session is None or peer.direct_paths():
            return
        reaching.give_up()  # what is left of the last attempt
        reaching.begun_at = self._mesh.clock.seconds()
        tls = PeerTls(self._shown, peer.name, self._mesh.is_revoked)
        places = peer.all_places()
        ways = self._ways(place for place in places if place.kind == STREAM)
        lines = {place.host for place in places if place.kind == LINE}
        for source, port, there in ways:
            if there.host in lines and self._may_call(there):
                factory = self.port.calling(tls, there) if peer.caller else self.port.met
                here = Endpoint(source.address, port)
                meeting = self.meeting(self._reactor, here, there, factory, source.device)
                reaching.meetings.append(meeting)
                meeting.start(CALL_WITHIN)
        reaching.timers = [
            self._mesh.clock.callLater(STAGGER * turn, self._call, reaching, tls, source, there)
            for turn, (source, _, there) in enumerate(ways)
        ]

    def _ways(self, places: Iterable[Place]) -> list[tuple[Source, int, Endpoint]]:
        """Each of our addresses, and the port that we listen on there, with each of theirs."""
        there = [Endpoint(place.host, place.port) for place in places]
        found = [
            (source, port.getHost().port, to)  # type: ignore[attr-defined]
            for source, port in self._listening.items()
            for to in there
            if (":" in source.address) == (":" in to.host)
        ]
        return found[:MOST_CALLS]

    def _may_call(self, there: Endpoint) -> bool:
        """Whether one more call may go there, which the peer or a relay has named."""
        return self._mesh.courtesy.take(there.host, self._mesh.pump.now(), SYNS, there.port)

    def _call(self, reaching: _Reaching, tls: PeerTls, source: Source, there: Endpoint) -> None:
        """From any port, so that it does not stand in the way of the meeting."""
        if not self._may_call(there):
            return
        kind = TCP6ClientEndpoint if ":" in there.host else TCP4ClientEndpoint
        net = self.on_device(self._reactor, source.device) if source.device else self._reactor
        endpoint = kind(net, there.host, there.port, timeout=CALL_WITHIN, bindAddress=(source.address, 0))
        calling: Deferred[Any] = endpoint.connect(self.port.calling(tls, there))
        reaching.calls.append(calling)

        def done(result: Any) -> None:
            reaching.calls.remove(calling)
            if isinstance(result, Failure) and not result.check(ConnectError, ConnectingCancelledError):
                self._log.failure("the call to a peer broke", result)

        calling.addBoth(done)

    # -- what comes of it ----------------------------------------------------------------------------------------------

    def opened(self, stream: PeerStream) -> None:
        """Both ends have shown who they are: it is a door."""
        peer, mesh = self._mesh.peers.get(stream.peer), self._mesh
        mesh.courtesy.answered(stream.remote.host, mesh.pump.now())
        session = peer.session if peer is not None else None
        if peer is None or session is None or not mesh.config.streams:
            stream.end("no session with it")
            return
        reaching = self._reaching.setdefault(stream.peer, _Reaching())
        reaching.give_up()
        if peer.caller and (reaching.streams or peer.direct_paths()):
            stream.end("there is a way already")
            return
        if len(reaching.streams) >= MOST_HELD:
            idle = (each for each in reaching.streams.values() if not each.received)
            next(idle, next(iter(reaching.streams.values()))).drop("made room")
        reaching.streams[stream.number] = stream
        mesh.pump.attach(stream, Carrier(STREAM_RANK, "tcp"))
        mesh.tell("stream-up", peer.name, f"{peer.name} is reached by {stream}")
        if peer.caller:
            effects = Effects()
            session.open_path(stream.number, mesh.endpoint(peer.name), str(stream), mesh.pump.now(), effects)
            mesh.carry_out(session, effects)

    def arrived(self, arrivals: Sequence[Arrival]) -> None:
        """Datagrams of peers."""
        self._mesh.pump.from_door(arrivals)

    def lost(self, stream: PeerStream, reason: str) -> None:
        """It is gone: what was on its way goes another way at once."""
        reaching = self._reaching.get(stream.peer)
        if reaching is None or reaching.streams.pop(stream.number, None) is None:
            return
        mesh, peer = self._mesh, self._mesh.peers[stream.peer]
        self._mesh.pump.detach(stream.number)
        mesh.tell("stream-gone", peer.name, f"{stream} to {peer.name} is gone: {reason}")
        if peer.session is not None:
            now, effects = mesh.pump.now(), Effects()
            for path in list(peer.session.paths.values()):
                if path.door == stream.number:
                    peer.session.silence(path.id, now, effects)
                    if peer.caller:  # the next stream is another door
                        peer.session.close_path(path.id, now, effects)
            mesh.carry_out(peer.session, effects)
            self.search(peer)

    def path_changed(self, peer: Peer, path: Path, state: str) -> None:
        """A path by a stream began another part of its life, of the kind `state`."""
        stream = self.of_door(path.door)
        if stream is not None and state == State.SILENT:  # find out now whether TCP lives, and not in half a minute
            stream.prove(PROVE_WITHIN)
        if not self.stand_in(peer):
            peer.story.cut()

    def stand_in(self, peer: Peer) -> bool:
        """If a stream works, the peer is reached by it; whether it is so."""
        paths = peer.session.paths.values() if peer.session is not None else ()
        works = next((path for path in paths if path.rank == STREAM_RANK and path.state is State.ACTIVE), None)
        if works is not None:
            peer.story.streamed(str(self.of_door(works.door) or works.uplink))
        return works is not None

    # -- the end -------------------------------------------------------------------------------------------------------

    def direct(self, peer: Peer) -> None:
        """UDP passes after all: if it goes on so, the stream is not needed. The caller closes it."""
        reaching = self._reaching.get(peer.name)
        if reaching is None:
            return
        reaching.give_up()
        if peer.caller and reaching.streams:
            reaching.stay()
            reaching.closing = self._mesh.clock.callLater(ENOUGH, self._close_needless, peer, reaching)

    def _close_needless(self, peer: Peer, reaching: _Reaching) -> None:
        now, since = self._mesh.pump.now(), [path.since for path in peer.direct_paths()]
        if since and now - min(since) >= ENOUGH - 1.0:
            for stream in list(reaching.streams.values()):
                stream.end("UDP passes")
        elif since:
            reaching.closing = self._mesh.clock.callLater(ENOUGH, self._close_needless, peer, reaching)

    def forget(self, name: str) -> None:
        """There is no session with that peer any more."""
        reaching = self._reaching.pop(name, None)
        if reaching is None:
            return
        reaching.give_up()
        reaching.stay()
        for stream in reaching.streams.values():
            self._mesh.pump.detach(stream.number)
            stream.end("no session any more")

    def stop(self) -> None:
        """End everything."""
        for name in list(self._reaching):
            self.forget(name)
        for source in list(self._listening):
            self._close(source)
        self.port.close("we stop")


async def _stopped(port: IListeningPort) -> None:
    stopping = port.stopListening()
    if stopping is not None:
        await stopping
