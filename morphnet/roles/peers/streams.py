"""Streams to peers: TCP for when UDP does not pass. Where we listen, how we call, and which peer a stream is of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure

from morphnet.errors import HostError
from morphnet.net.gate import Gate
from morphnet.net.listen import listen_shared
from morphnet.net.meet_tcp import MeetTcp
from morphnet.net.ondevice import OnDevice, Source
from morphnet.net.peer_stream import PeerStream, StreamPort
from morphnet.net.pump import Pump
from morphnet.net.tls import PeersTls, PeerTls
from morphnet.roles.peers.reaching import PATIENCE, Meeting, Reachable, Reaching, Way
from morphnet.roles.peers.sessions import Sessions
from morphnet.roles.peers.surroundings import Surroundings
from morphnet.traversal.courtesy import Courtesy
from morphnet.tunnel.carrier import STREAM as STREAM_RANK
from morphnet.tunnel.carrier import Carrier
from morphnet.wire.batch import Arrival, Endpoint
from morphnet.wire.candidates import LINE, STREAM, Candidate

SYNS = 2  # packets of a call that nobody answers, within CALL_WITHIN
CALL_WITHIN = 3.0  # seconds for TCP, and for the meeting half way


class Outside(Protocol):
    """How we are seen from outside."""

    def udp_is_blocked(self) -> bool:
        """Whether relays are reached, and none of them ever by UDP, though there was time."""
        ...

    def lines(self) -> list[tuple[str, Candidate]]:
        """Our address on the line to each relay, and the one that the relay sees."""
        ...


class Net(NamedTuple):
    """What the operator wants, and how sockets are made: see the modules in net/."""

    reactor: Any
    on: bool  # whether there shall be streams
    port: int  # TCP, that we listen on
    listen: Callable[[Gate, str, int, Any, str], IListeningPort | None] = listen_shared
    meet: Callable[..., Meeting] = MeetTcp
    on_device: Callable[[Any, str], Any] = OnDevice


class Streams:
    """What all peers share: ports that listen, and calls."""

    _log = Logger()

    def __init__(
        self, around: Surroundings, net: Net, pump: Pump, sessions: Sessions, courtesy: Courtesy, outside: Outside
    ) -> None:
        self._around, self._net, self._pump = around, net, pump
        self._sessions, self._courtesy, self._outside = sessions, courtesy, outside
        self._shown = around.ourselves.identity()
        self._tls = PeersTls(self._shown, self._knows, around.ourselves.is_revoked)
        self.port = StreamPort(self._tls, self, net.reactor, pump.new_number)
        self._listening: dict[Source, IListeningPort] = {}
        self._reaching: dict[str, Reaching] = {}

    def reaching(self, peer: Reachable) -> Reaching:
        """That peer."""
        made = self._reaching[peer.name] = Reaching(self._around, peer, self._sessions, self)
        return made

    def leave(self, reaching: Reaching) -> None:
        """That peer is nobody any more."""
        if self._reaching.get(reaching.peer.name) is reaching:
            del self._reaching[reaching.peer.name]

    def _knows(self, name: str) -> bool:
        reaching = self._reaching.get(name)
        return reaching is not None and reaching.peer.session is not None

    # -- where we are --------------------------------------------------------------------------------------------------

    def sources_are(self, sources: Sequence[Source]) -> None:
        """Listen on these addresses, and on no others."""
        if not self._net.on:
            return
        for source in self._listening.keys() - set(sources):
            self._close(source)
        for source in sources:
            if source not in self._listening:
                device, host = source
                try:
                    port = self._net.listen(self.port.gate, host, self._net.port, self.port.factory, device)
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
            if stream.local.host == source.address:
                stream.drop("our address is gone")

    def candidates(self) -> list[Candidate]:
        """
        Where we listen, and where that may be seen from outside: at the address that a relay sees us at, by the same
        port, which is so where a router lets strangers in, or answers, and keeps ports. That address is told as one of
        our lines as well: a relay that speaks of a private one is not believed, we are.
        """
        ports = {source.address: _number(port) for source, port in self._listening.items()}
        found = {Candidate(STREAM, *each): None for each in ports.items()}
        lines = [(ports[local], line.host) for local, line in self._outside.lines() if local in ports]
        return list(found | {Candidate(kind, host, port): None for port, host in lines for kind in (STREAM, LINE)})

    def of_door(self, number: int) -> PeerStream | None:
        """The stream that is that door."""
        return next((each.streams[number] for each in self._reaching.values() if number in each.streams), None)

    # -- calls ---------------------------------------------------------------------------------------------------------

    def begin(self) -> float | None:
        """A search begins: seconds to leave to UDP before an attempt; None when there shall be no streams."""
        if not self._net.on:
            return None
        identity = self._around.ourselves.identity()
        if identity != self._shown:  # the peer may call us before we call it
            self._shown = identity
            self._tls.use(identity)
        return 0.0 if self._outside.udp_is_blocked() else PATIENCE

    def ways(self, candidates: Sequence[Candidate]) -> list[Way]:
        """Each address that we listen on with each of these, of one family."""
        there = [Endpoint(candidate.host, candidate.port) for candidate in candidates]
        return [
            Way(source, _number(port), to)
            for source, port in self._listening.items()
            for to in there
            if (":" in source.address) == (":" in to.host)
        ]

    def _may_call(self, there: Endpoint) -> bool:
        """Whether one more call may go there, which the peer or a relay has named."""
        return self._courtesy.take(there.host, self._around.now(), SYNS, there.port)

    def _tls_to(self, peer: str) -> PeerTls:
        return PeerTls(self._shown, peer, self._around.ourselves.is_revoked)

    def meet(self, way: Way, peer: str, *, caller: bool) -> Meeting | None:
        """Meet it half way, from the very port that we listen on. None when nobody may be called there now."""
        if not self._may_call(way.there):
            return None
        factory = self.port.calling(self._tls_to(peer), way.there) if caller else self.port.met
        here = Endpoint(way.source.address, way.port)
        meeting = self._net.meet(self._net.reactor, here, way.there, factory, way.source.device)
        meeting.start(CALL_WITHIN)
        return meeting

    def call(self, way: Way, peer: str) -> Deferred[Any] | None:
        """Call it, from any port, so as not to stand in the way of a meeting. None when nobody may be called there."""
        there, source, reactor = way.there, way.source, self._net.reactor
        if not self._may_call(there):
            return None
        kind = TCP6ClientEndpoint if ":" in there.host else TCP4ClientEndpoint
        net = self._net.on_device(reactor, source.device) if source.device else reactor
        endpoint = kind(net, there.host, there.port, timeout=CALL_WITHIN, bindAddress=(source.address, 0))
        calling: Deferred[Any] = endpoint.connect(self.port.calling(self._tls_to(peer), there))

        def done(result: Any) -> None:
            if isinstance(result, Failure) and not result.check(ConnectError, ConnectingCancelledError):
                self._log.failure("the call to a peer broke", result)

        return calling.addBoth(done)

    # -- what the port tells -------------------------------------------------------------------------------------------

    def opened(self, stream: PeerStream) -> None:
        """Both ends have shown who they are."""
        self._courtesy.answered(stream.remote.host, self._around.now())
        reaching = self._reaching.get(stream.peer)
        if reaching is None or not self._net.on:
            stream.end("no session with it")
        else:
            reaching.opened(stream)

    def arrived(self, arrivals: Sequence[Arrival]) -> None:
        """Datagrams of peers."""
        self._pump.from_door(arrivals)

    def lost(self, stream: PeerStream, reason: str) -> None:
        """It is gone."""
        reaching = self._reaching.get(stream.peer)
        if reaching is not None:
            reaching.lost(stream, reason)

    # -- doors ---------------------------------------------------------------------------------------------------------

    def attach(self, stream: PeerStream) -> None:
        """It carries datagrams from now on."""
        self._pump.attach(stream, Carrier(STREAM_RANK, "tcp"))

    def detach(self, stream: PeerStream) -> None:
        """It does no more."""
        self._pump.detach(stream.number)

    def stop(self) -> None:
        """End everything."""
        for reaching in list(self._reaching.values()):
            reaching.stop()
        for source in list(self._listening):
            self._close(source)
        self.port.close("we stop")


def _number(port: IListeningPort) -> int:
    """That it listens on."""
    return int(port.getHost().port)  # type: ignore[attr-defined]


async def _stopped(port: IListeningPort) -> None:
    stopping = port.stopListening()
    if stopping is not None:
        await stopping
