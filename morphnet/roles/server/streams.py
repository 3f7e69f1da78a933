"""Streams of clients: one more path of a session, by TCP, for a client whose UDP does not pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Protocol

from morphnet.net.admission import Admission
from morphnet.net.gate import Gate
from morphnet.net.limits import Limits
from morphnet.net.peer_stream import OPEN_WITHIN, PeerStream
from morphnet.net.pump import Pump
from morphnet.net.server_stream import ServerStreams
from morphnet.net.tls import Peer
from morphnet.net.websocket import Socket
from morphnet.roles.certificates.proxied import Proxied
from morphnet.tunnel.carrier import PASSAGE, STREAM, Carrier
from morphnet.tunnel.events import Effects
from morphnet.wire.batch import Arrival

MOST_HELD = 4  # of one client: its next one comes before the last is known to be gone


class Streams:
    """
    Makes a door of each stream whose client has a session, for as long as it has one.

    :param tell: (kind, session, sentence) for the node's history.
    :param proxied: reads what a web server in front of us says of its callers.
    """

    def __init__(
        self, pump: Pump, tell: Callable[[str, str, str], None], gate: Gate, limits: Limits, proxied: Proxied
    ) -> None:
        self._pump, self._tell = pump, tell
        self._held: dict[str, dict[int, PeerStream]] = {}  # by session, then by number, the oldest first

        def told(socket: Socket) -> tuple[Peer, str]:
            return proxied.peer(socket.headers), proxied.address(socket.headers)

        self._admission: Admission[Socket] = Admission(gate, "streams", limits, OPEN_WITHIN)
        self._direct = ServerStreams(self, gate.clock, pump.new_number, self._admission)
        self._behind = ServerStreams(self, gate.clock, pump.new_number, self._admission, told)

    @property
    def factory(self) -> IProtocolFactory:
        """What listens for the web server."""
        return self._behind.factory

    def take(self, host: str) -> Protocol | None:
        """For a connection from there to the control port that turned out to be a stream; None: not now."""
        return self._direct.take(host)

    def counters(self) -> Counter[str]:
        """For the node's status."""
        open_ones = len(self._direct.streams) + len(self._behind.streams)
        return Counter({"streams": open_ones, **self._admission.counters()})

    def close(self) -> Deferred[None]:
        """Hang up on everybody; fires when all are gone, soon."""
        return self._direct.close("server stops")

    def opened(self, stream: PeerStream) -> None:
        """Its client has shown who it is. Of too many the one goes that nothing came by, or the oldest."""
        if stream.peer not in self._pump.tunnel.sessions:
            stream.end("no session with it")
            return
        held = self._held.setdefault(stream.peer, {})
        if len(held) >= MOST_HELD:
            idle = (each for each in held.values() if not each.received)
            next(idle, next(iter(held.values()))).drop("made room")
        held[stream.number] = stream
        self._pump.attach(stream, Carrier(PASSAGE, str(stream)) if stream.relay else Carrier(STREAM, "tcp"))
        self._tell("stream-up", stream.peer, f"it comes by {stream}")

    def arrived(self, arrivals: Sequence[Arrival]) -> None:
        """Datagrams of clients."""
        self._pump.from_door(arrivals)

    def lost(self, stream: PeerStream, reason: str) -> None:
        """It is gone: what was on its way goes another way at once."""
        held = self._held.get(stream.peer, {})
        if held.pop(stream.number, None) is None:
            return
        if not held:
            del self._held[stream.peer]
        self._pump.detach(stream.number)
        self._tell("stream-gone", stream.peer, f"{stream} is gone: {reason}")
        session = self._pump.tunnel.sessions.get(stream.peer)
        if session is not None:
            now, effects = self._pump.now(), Effects()
            for path in list(session.paths.values()):
                if path.door == stream.number:
                    session.silence(path.id, now, effects)
            self._pump.carry_out(effects)
            self._pump.tunnel.poke(session, now)

    def look(self) -> None:
        """End the streams of sessions that are no more."""
        for name in self._held.keys() - self._pump.tunnel.sessions.keys():
            for stream in list(self._held[name].values()):
                stream.end("its session is closed")
