"""
A port at the router at home, as others use it: datagrams of the router in, an address outside or none out.

Source: RFC 6887 sections 8.3 and 8.5; RFC 6886 sections 3.3 to 3.6.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from morphnet.errors import MalformedFrame
from morphnet.rendezvous.portmapping import PATIENCE, Listener, Patience, Router, Wish, mapping
from morphnet.wire.pcp import (
    SUCCESS,
    Answer,
    PcpMapping,
    PmpAddress,
    PmpMapping,
    WrongVersion,
    decode_answer,
    refusal,
)

SLACK = 2  # seconds that a router's clock may be off, besides its drift
PCP_DRIFT, PMP_DRIFT = 1 / 16, 1 / 8  # RFC 6887 section 8.5, RFC 6886 section 3.6
NOWHERE = "0.0.0.0"


def restarted(epoch: int, later: int, elapsed: float, drift: float) -> bool:
    """
    Whether the clock of a router tells that it lost its mappings between two answers.

    :param elapsed: seconds between them, on our clock.
    :param drift: how much slower than the other the slower clock may be, as a share.

    Source: RFC 6887 section 8.5; RFC 6886 section 3.6 sees only a clock that is behind.
    """
    theirs = later - epoch
    if theirs < -1:  # answers may overtake each other
        return True
    return theirs + SLACK < elapsed * (1 - drift) or elapsed + SLACK < theirs * (1 - drift)


class MappedPort:
    """
    One mapping at one router, seen from one address of ours. When that address or the router changes, it is another:
    stop this one and start anew. `network_changed` is for what we cannot know, such as a cable that was out.

    The address that a router tells may be a private one, when another NAT stands behind it.
    """

    def __init__(
        self,
        router: Router,
        listener: Listener,
        clock: IReactorTime,
        chance: Callable[[], float],
        wish: Wish,
        patience: Patience = PATIENCE,
    ) -> None:
        """:param chance: a fresh number in 0 .. 1 at each call, for the jitter."""
        self._clock, self._wish, self._patience = clock, wish, patience
        self._life = mapping(router, listener, clock, chance, wish, patience)
        self._epochs: dict[
            float, tuple[int, float]
        ] = {}  # by drift, that is by protocol: the epoch, and our clock then
        self.malformed = 0  # datagrams that were no answer
        self.strange = 0  # answers about what we did not ask for

    def start(self) -> None:
        """Ask, and go on asking."""
        self._epochs.clear()
        self._life.start()

    def network_changed(self) -> None:
        """Ask at once; it may be another router."""
        self._epochs.clear()
        self._life.network_changed()

    def stop(self) -> None:
        """Give the mapping back. `Router.done` is called when the router has said yes, or has not for too long."""
        self._life.stop()

    def received(self, datagram: bytes) -> None:
        """What the router sent, and nobody else."""
        try:
            answer = decode_answer(datagram)
        except MalformedFrame:
            self.malformed += 1
            return
        if not self._ours(answer):
            self.strange += 1
            return
        match answer:
            case WrongVersion():
                self._life.unsupported()
            case PcpMapping():
                self._watch(answer.epoch, PCP_DRIFT)
                self._mapped(answer, answer.host)
            case PmpMapping():
                self._watch(answer.epoch, PMP_DRIFT)
                self._mapped(answer, "")
            case PmpAddress():
                self._watch(answer.epoch, PMP_DRIFT)
                self._addressed(answer)

    def _ours(self, answer: Answer) -> bool:
        wish = self._wish
        match answer:
            case PcpMapping():
                asked = (wish.nonce, wish.protocol, wish.port)
                return (answer.nonce, answer.protocol, answer.inside_port) == asked
            case PmpMapping():
                return answer.protocol == wish.protocol and (
                    answer.inside_port == wish.port or answer.result != SUCCESS  # which may tell no port
                )
            case _:
                return True

    def _watch(self, epoch: int, drift: float) -> None:
        now = self._clock.seconds()
        before = self._epochs.get(drift)
        self._epochs[drift] = (epoch, now)
        if before is not None and restarted(before[0], epoch, now - before[1], drift):
            self._life.restarted()

    def _mapped(self, answer: PcpMapping | PmpMapping, host: str) -> None:
        if answer.result != SUCCESS:
            # A refusal of PCP tells how long it is likely to hold; we ask neither sooner than is seemly nor never.
            told = answer.lifetime if isinstance(answer, PcpMapping) else self._patience.rest
            seconds = min(max(float(told), self._patience.soonest), self._patience.longest_rest)
            self._life.refused(refusal(answer), seconds)
        elif not answer.lifetime:
            self._life.given_back()
        elif not answer.port or host == NOWHERE:
            self._life.refused("the router has mapped it to nowhere", self._patience.rest)
        else:
            self._life.granted(host, answer.port, answer.lifetime)

    def _addressed(self, answer: PmpAddress) -> None:
        if answer.result != SUCCESS:
            self._life.refused(refusal(answer), self._patience.rest)
        elif answer.host == NOWHERE:
            self._life.refused("the router has no address outside", self._patience.rest)
        else:
            self._life.addressed(answer.host)
