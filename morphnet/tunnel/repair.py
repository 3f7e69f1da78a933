"""
What is sent again though its path works: what of it comes in time, and what it does to those who sent it.

Source: docs/protocol section 7.
"""

from __future__ import annotations

from collections.abc import Sequence

from morphnet.tunnel.carrier import DIRECT
from morphnet.tunnel.flight import Flight
from morphnet.tunnel.path import Path
from morphnet.tunnel.patience import Patience
from morphnet.tunnel.recovery import REPAIRS
from morphnet.tunnel.scheduler import MARGIN, SOUND

BURST = 2.0  # round trips after which what senders got at once, when something was repaired, has left


class Repair:
    """Of what one session sends."""

    def __init__(self, patience: Patience) -> None:
        """
        :param patience: the receiver's; it may change.
        """
        self._patience = patience
        self._at = float("-inf")  # when something was sent again, the last time

    def wanted(self, path: Path, paths: Sequence[Path], now: float, *, ordered: bool) -> list[Flight]:
        """
        What goes again of that which `path` lost though it works: all that found the queue of a stream full; else what
        the receiver still waits for when it comes, or what got lost when its address changed, each slice a few times,
        and no more than was sent; and what was too long.

        :param paths: those that may carry it.
        :param ordered: the receiver puts packets back in order.
        """
        lost, delivery = path.delivery.take_spilt(), path.delivery
        if path.rank != DIRECT:
            return lost
        if not ordered or not self._patience.tcp or 2 * delivery.resent_packets > delivery.sent_packets:
            return delivery.too_long(lost, now)
        due = now + min([other.pacer.soonest(now) for other in paths]) + MARGIN - path.pacer.landing.way
        unsettled = now < path.unsettled_until
        wanted, rest = list[Flight](), list[Flight]()
        for flight in lost:
            (wanted if _of_use(flight, due, self._patience, unsettled=unsettled) else rest).append(flight)
        if wanted:
            self._at = now
        return [*wanted, *delivery.too_long(rest, now)]

    def lately(self, rtt: float, now: float) -> bool:
        """
        Whether senders may have been told all at once what had waited for a repair. Then they send as much at once, and
        are not too fast for that.

        :param rtt: seconds, that of the farthest path.
        """
        return now - self._at < BURST * rtt


def lost_by_chance(path: Path) -> bool:
    """
    Whether `path` loses so little that it is not full: what it lost goes by two datagrams, since who waits for it does
    not wait for another round trip.
    """
    return path.rank == DIRECT and path.loss.rate() < SOUND


def _of_use(flight: Flight, due: float, patience: Patience, *, unsettled: bool) -> bool:
    """
    Whether what was lost is worth sending again.

    :param due: seconds: when it would arrive.
    :param unsettled: an address has just changed. TCP has helped itself when that is over, others have not.
    """
    if flight.run is None or flight.again >= REPAIRS:
        return False
    wait = patience.of(flight.run)
    return due <= flight.born + wait or (unsettled and wait == patience.rest)
