"""
What a super packet costs, as calls of functions counted in the data plane: a slow-down shows here, on any machine.

A bound is a tenth above what was counted when it was set. Lower it when the work gets less; raise it only knowingly.
"""

from __future__ import annotations

import random
import struct
import sys
from collections.abc import Callable
from types import FrameType

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.roles import Tuning
from morphnet.net.joining import joined
from morphnet.tunnel import inbound, tunnel
from morphnet.tunnel.events import Effects
from morphnet.tunnel.tunnel import Tunnel
from morphnet.wire import formats, keys, segments
from morphnet.wire.batch import Arrival, Endpoint
from morphnet.wire.core import Core, cores
from morphnet.wire.ip import TCP
from morphnet.wire.virtio import GSO_TCPV4, NEEDS_CSUM

CLIENT4, SERVER4 = bytes((10, 73, 0, 2)), bytes((10, 73, 0, 1))
GATEWAY = Endpoint("203.0.113.1", 8000)
SEGMENT_SIZE, SEGMENTS = 1348, 45
BATCH, WARM_UP, ROUNDS = 4, 40, 50
EVERY = 0.00025  # seconds between batches: 7.7 Gbit/s
DELAY = 0.0001  # seconds
SETTLE = 3.0  # seconds, in which path MTU and acknowledgements come to rest


def super_packet(number: int, payload: bytes) -> bytes:
    """TCP, as a TUN with virtio headers gives it."""
    tcp = struct.pack("!HHIIBBHHH", 40000, 5001, number * len(payload) & 0xFFFFFFFF, 1, 5 << 4, 0x10, 500, 0, 0)
    total = 20 + len(tcp) + len(payload)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, total & 0xFFFF, 1, 0x4000, 64, TCP, 0, CLIENT4, SERVER4)
    hdr = struct.pack("=BBHHHH", NEEDS_CSUM, GSO_TCPV4, 20 + len(tcp), SEGMENT_SIZE, 20, 16)
    return hdr + ip + tcp + payload


class Counted:
    """Calls of functions, ours and the interpreter's, while the block runs."""

    def __init__(self) -> None:
        self.calls = 0

    def __enter__(self) -> Counted:
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        self.calls -= 2  # leaving the block: __exit__, and the call that ends the counting

    def _count(self, frame: FrameType, event: str, argument: object) -> None:
        self.calls += event in ("call", "c_call")


class Line:
    """A client and a server joined by uplinks that lose nothing; what each of them does is counted."""

    def __init__(self, paths: int, **tuning: object) -> None:
        chance = random.Random(1)
        self.client = Tunnel(server=False, entropy=chance.randbytes)
        self.server = Tunnel(server=True, entropy=chance.randbytes)
        self.now = 1000.0
        self.sending, self.receiving = Counted(), Counted()
        self.departures = self.delivered = 0
        settings = Tuning(**tuning)  # type: ignore[arg-type]
        secrets = chance.randbytes(32), chance.randbytes(32)
        behind = self.server.add_session("laptop", bytes(16), settings, (CLIENT4,))
        session = self.client.add_session("gateway", bytes(16), settings)
        ids = self.server.issue_ids(behind, 4 * paths)
        for end in (behind, session):
            end.install(*secrets, 64, self.now)
        self.client.learn_ids(session, ids)
        session.add_ids(ids)
        effects = Effects()
        for number in range(paths):
            session.open_path(number, GATEWAY, f"wan{number}", self.now, effects)
        self.client.poke(session, self.now)
        self._carry(effects, at_client=True)
        self.wait(SETTLE)

    def _carry(self, effects: Effects, *, at_client: bool) -> None:
        """Bring what one end sends to the other, until nothing more comes of it."""
        while effects.sends:
            arrivals = [
                Arrival(
                    each.door if at_client else each.to.port - 1000,
                    Endpoint("203.0.113.2", 1000 + each.door, GATEWAY.host) if at_client else GATEWAY,
                    memoryview(bytes(each.data)),
                    each.size,
                )
                for each in joined(effects.sends)
            ]
            self.now += DELAY
            end, counted = (self.server, self.receiving) if at_client else (self.client, self.sending)
            with counted:
                effects = end.from_path(arrivals, self.now)
            self.delivered += 0 if end is self.client else len(effects.delivers)
            at_client = not at_client

    def wait(self, seconds: float) -> None:
        """Let time pass, and do what it asks for."""
        until = self.now + seconds
        while True:
            ends = ((self.client, self.sending), (self.server, self.receiving))
            due, _, end, counted = min((e.next_timer() or until + 1, at, e, c) for at, (e, c) in enumerate(ends))
            if due > until:
                break
            self.now = max(self.now, due)
            with counted:
                effects = end.on_timer(self.now)
            self._carry(effects, at_client=end is self.client)
        self.now = until

    def give(self, batch: list[memoryview]) -> None:
        """Packets that the client's TUN has."""
        with self.sending:
            effects = self.client.from_tun(batch, self.now)
        self.departures += len(effects.sends)
        self._carry(effects, at_client=True)
        self.wait(EVERY)


def work(paths: int, packets: Callable[[int], bytes], **tuning: object) -> tuple[float, float, float]:
    """For one packet: calls at the sender, calls at the receiver, sends; all of what was sent must arrive."""
    line = Line(paths, **tuning)
    made = [memoryview(packets(number)) for number in range(BATCH)]
    for _ in range(WARM_UP):
        line.give(made)
    line.wait(SETTLE)
    line.sending.calls = line.receiving.calls = line.departures = line.delivered = 0
    for _ in range(ROUNDS):
        line.give(made)
    sent = BATCH * ROUNDS
    assert line.delivered == sent, f"{line.delivered} of {sent}"
    return line.sending.calls / sent, line.receiving.calls / sent, line.departures / sent


class WorkTests(SynchronousTestCase):
    """Each bound is that of one super packet of 45 datagrams, or of one small packet, of one flow or of many."""

    def _use(self, core: Core) -> None:
        for module in (formats, keys, segments, inbound, tunnel):
            self.patch(module, "CORE", core)

    def _within(self, got: tuple[float, float, float], sender: float, receiver: float, sends: float = 1.0) -> None:
        self.assertLessEqual(got[0], sender, "calls at the sender")
        self.assertLessEqual(got[1], receiver, "calls at the receiver")
        self.assertLessEqual(got[2], sends, "sends")

    @staticmethod
    def _large(number: int) -> bytes:
        return super_packet(number, bytes(SEGMENT_SIZE * SEGMENTS))

    @staticmethod
    def _small(number: int) -> bytes:
        return bytes(10) + super_packet(number, bytes(64))[10:]

    @staticmethod
    def _mixed(number: int) -> bytes:
        made = bytearray(WorkTests._small(number))
        made[30:32] = (3000 + number).to_bytes(2, "big")
        return bytes(made)

    def test_compiled(self) -> None:
        """The inner loop is a call for each run."""
        core = next(cores())
        if not core.name.startswith("compiled"):
            self.skipTest("no compiled core here")
        self._use(core)
        self._within(work(1, self._large), sender=82, receiver=93)
        self._within(work(2, self._large), sender=111, receiver=96)
        self._within(work(2, self._large, scheduler="redundant"), sender=141, receiver=200, sends=2.0)
        self._within(work(1, self._small), sender=33, receiver=34, sends=0.25)
        self._within(work(1, self._mixed), sender=100, receiver=40)

    def test_pure(self) -> None:
        """A few calls for each datagram."""
        *_, core = cores()
        self._use(core)
        self._within(work(1, self._large), sender=147, receiver=187)
        self._within(work(2, self._large), sender=176, receiver=190)
        self._within(work(1, self._small), sender=67, receiver=54, sends=0.25)
