"""
One path of a session, and its parts: is it alive, is its address proved, what came in, what is in flight, and how much
more it may be given. Here is what concerns more than one of them.

Source: docs/protocol sections 5 and 7; RFC 9000 sections 8 and 9, RFC 9002 section 5 for the shape of it.
"""

from __future__ import annotations

from morphnet.tunnel.delivery import Delivery
from morphnet.tunnel.flight import Flight
from morphnet.tunnel.lateness import Lateness, PathLateness
from morphnet.tunnel.liveness import Liveness, State
from morphnet.tunnel.mtu import BASE, MtuSearch
from morphnet.tunnel.pacer import Pacer
from morphnet.tunnel.received import Received
from morphnet.tunnel.rtt import LossMeter, RttEstimate
from morphnet.tunnel.terms import ENDLESS, FREE, Terms
from morphnet.tunnel.validation import Validation
from morphnet.wire.batch import Departure, Endpoint
from morphnet.wire.frames import Ack
from morphnet.wire.ip import View
from morphnet.wire.shapes.shape import Coat, Shape

__all__ = ["Path", "State"]

UNSETTLED = 2.0  # seconds after another address in which what is lost is the doing of the change
LOSS_OF = 2.0  # seconds over which it is seen whether a path is of use at all
SPARE = 15  # bytes of padding at most that a full datagram gets, where it gets any
PADDING = 63  # and a small one
IPV4, IPV6 = 28, 48  # bytes of headers that IP and UDP put before each
_MICRO = 1_000_000


class Path:
    """One way to the peer; ids are never used twice in a session, so that a nonce never is."""

    def __init__(
        self, path_id: int, door: int, remote: Endpoint, ceiling: int, now: float, own: Lateness | None = None
    ) -> None:
        self.id = path_id
        self.uplink, self.shown = "", b""  # its name; the issued id (20 bytes) that datagrams on this path carry
        self.door, self.remote, self.rank = door, remote, 0
        self.terms = FREE  # on which it may be used
        self.left: tuple[int, Endpoint] | None = None  # door and address before we moved it ourselves
        self.moved_at = now
        self.unsettled_until = now  # it was just moved, maybe by a NAT: what got lost is worth sending late
        self.seen_as: Endpoint | None = None  # our own address on it as the peer sees it; None until it says
        self.rtt, self.loss, self.mtu, self.lateness = RttEstimate(), LossMeter(), MtuSearch(ceiling), PathLateness(own)
        self.any_loss = LossMeter(LOSS_OF)  # as `loss`, of which what congestion may explain is forgotten
        self.life = Liveness(self.rtt, self.lateness, now)
        self.validation = Validation()
        self.received = Received(path_id, now)
        self.delivery = Delivery(self.rtt, self.mtu, self.lateness)
        self.pacer = Pacer(self.delivery, self.rtt, self.lateness, now)
        self.chosen: Shape | None = None  # what its datagrams shall be dressed as
        self.shape: Shape | None = None  # the flow of that
        self.spare = 0  # bytes of padding that a full one may get; another number on each path
        self.overhead = 0  # bytes that a full one is longer on the way

    # -- its life, as others ask for it ------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where it is in its life."""
        return self.life.state

    @property
    def since(self) -> float:
        """When that began."""
        return self.life.since

    @property
    def usable(self) -> bool:
        """Whether traffic may be given to it."""
        return self.life.usable

    def enter(self, state: State, now: float) -> None:
        """Begin another part of its life."""
        self.life.enter(state, self.delivery.number, now)

    def treat(self, terms: Terms) -> None:
        """Use it on these terms from now on."""
        self.terms = terms
        self.pacer.bind(terms.rate)

    @property
    def place(self) -> tuple[int, int]:
        """Its place among others: traffic goes by those with the lowest."""
        return self.terms.level, self.rank

    # -- what it wears -----------------------------------------------------------------------------------------------

    def wear(self, shape: Shape | None, spare: int) -> None:
        """
        Dress what is sent from now on.

        :param spare: 0 to SPARE.
        """
        before = self.overhead
        self.chosen = shape
        self.begin_flow()
        self.spare = spare if shape is not None else 0
        self.overhead = shape.least + spare if shape is not None else 0
        self.mtu.lengthened(self.overhead - before)

    def begin_flow(self) -> None:
        """What knows connections begins another one with the next datagram."""
        self.shape = self.chosen.flow() if self.chosen is not None else None

    def dressed(
        self, to: tuple[int, Endpoint], data: View, size: int, most: int = PADDING, aside: int | None = None
    ) -> Departure:
        """
        Datagrams as they go out by this path.

        :param to: door and address.
        :param most: bytes of padding that each may get, if there is room.
        :param aside: bytes that may go there if that is not the path's own address, and has not proved itself.
        """
        if self.shape is None:
            return Departure(*to, data, size)
        total, least = len(data), 0
        room = self.mtu.proven + self.overhead - total
        if total > size:
            most = self.spare
        else:
            most = max(self.spare, min(most, min(BASE, self.mtu.proven) - size))
            least = self.spare if size > self.mtu.proven else 0  # a probe, of the longest that such a one may become
        earning = aside is None and not self.validation.validated
        if earning or aside is not None:
            allowed = (self.validation.allowance if aside is None else aside) - total
            room, most = min(room, allowed), max(0, min(most, allowed - self.shape.least))
        out, size = self.shape.dress(data, size, min(least, most), most, room)
        if earning:
            self.validation.allowance -= len(out) - total
        return Departure(*to, out, size)

    def coat(self) -> Coat | None:
        """What a run that leaves by this path is masked with while it is sealed; None: `dressed` sees to it."""
        return self.shape.coat(self.spare) if self.shape is not None and self.validation.validated else None

    def leaving(self, data: View, size: int, coat: Coat | None = None) -> Departure:
        """
        Datagrams of `size` bytes on their way to the path's own address.

        :param coat: what they wear already.
        """
        if coat is not None:
            return Departure(self.door, self.remote, data, size + coat.longer)
        if self.shape is None:  # one call less: most leave so
            return Departure(self.door, self.remote, data, size)
        return self.dressed((self.door, self.remote), data, size)

    # -- sending -----------------------------------------------------------------------------------------------------

    def sent(self, count: int, size: int, total: int, now: float, *, asks: bool) -> Flight | None:
        """
        Account for `count` datagrams of `size` bytes (`total` together) from the next packet number on.

        :param asks: whether they ask for an Ack; then they are in flight until one comes.
        """
        flown = self.delivery.in_flight
        flight = self.delivery.sent(count, size, total, now, asks=asks)
        if not self.validation.validated:
            self.validation.allowance -= total
        if self.pacer.bound.rate != ENDLESS:
            more = self.overhead + (IPV6 if ":" in self.remote.host else IPV4)
            self.pacer.bound.sent(total + count * more, now)
        if flight is not None:
            flight.calm = self.pacer.sent(total, flown, now)
        return flight

    def acknowledge(self, ack: Ack, now: float, late: float = 0.0) -> int:
        """
        Fold in one Ack about this path.

        :param late: seconds ago that it arrived.
        :returns: datagrams newly acknowledged.
        """
        if ack.largest >= self.delivery.number:  # acknowledges what was never sent
            return 0
        settled = self.delivery.settle(ack, now)
        if settled.newest:
            self.lateness.answered(ack.delay, now)
            sample = (((round((now - late) * _MICRO) - ack.echo) & 0xFFFFFFFF) - ack.delay) / _MICRO
            if 0 < sample < 60:
                there, unsure = (ack.received_at - ack.echo) & 0xFFFFFFFF, self.lateness.own.sending(ack.echo)
                self.rtt.add(sample, now=now, there=there, calm=settled.calm, unsure=unsure)
        for meter in (self.loss, self.any_loss):
            meter.add(ack.largest, ack.packets, now)
        self.pacer.acknowledged(ack, settled, now, late)
        return settled.packets

    def proves_life(self, ack: Ack) -> bool:
        """Whether `ack` tells of something sent since the path fell silent; what was learned before is void then."""
        life, delivery = self.life, self.delivery
        if life.state is not State.SILENT or not self.validation.validated:
            return False
        if not life.proof_from <= ack.largest < delivery.number:
            return False
        life.proofs += ack.largest > delivery.acked
        self.rtt.restart()
        self.pacer.relearn()
        return True

    def take_flights(self) -> list[Flight]:
        """Everything in flight, no longer in flight: the path has moved or fallen silent."""
        self.pacer.free_at = 0.0
        return self.delivery.take_flights()

    # -- when it is not what it was ----------------------------------------------------------------------------------

    def moved(self, door: int, remote: Endpoint, now: float, *, only_ports: bool) -> None:
        """
        The same path by another address: what was learned of the old way is no longer sure.

        :param only_ports: of the same machines, on the same networks; then it holds. Source: RFC 9000 section 9.4.
        """
        self.door, self.remote, self.seen_as = door, remote, None
        self.forget_losses()
        self.begin_flow()
        if not only_ports:
            self.life.forgive()
            self.pacer.relearn()
            self.mtu.restart(self.mtu.ceiling)
        self.received.heard_at = self.moved_at = now
        self.unsettled_until = now + UNSETTLED

    def peer_restarted(self) -> None:
        """The peer is a new process: it knows no id, counts from the start, by another clock; the way is the same."""
        self.shown = b""
        self.received.restart()
        self.forget_losses()
        self.rtt.other_clock()
        self.pacer.other_clock()
        self.life.forgive()

    def count_anew(self) -> None:
        """There are new keys, and a peer that never heard of this path: what is sent counts from the start again."""
        self.take_flights()
        self.delivery.count_anew()
        self.life.proof_from = 0
        self.mtu.forget_probe()
        self.forget_losses()

    def forget_losses(self) -> None:
        """Begin to measure them anew."""
        self.loss.clear()
        self.any_loss.clear()
