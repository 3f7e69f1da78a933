"""
The machine of one peer, seen from here: met through a relay, then direct, through the relay again when that ends.
A stream, TCP, is better than the relay and no end of the search. When the search is given up, `giving_up` says.

The way through the relay is never given up for the search: what is found is added, and the scheduler moves over.

Source: docs/protocol section 12; figures C1 to C6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from automat import TypeMachineBuilder
from twisted.internet.interfaces import IReactorTime

from morphnet.rendezvous.giving_up import PATIENCE, Attempts, Patience


class Hands(Protocol):
    """Who does what the machine decides, for one peer."""

    def greet(self) -> None:
        """Begin a handshake, or ask the peer to; `established` or `failed` follows, or nothing."""
        ...

    def give_up(self) -> None:
        """End the handshake under way."""
        ...

    def search(self) -> None:
        """Look for a direct way, from the start; tell the peer to do the same."""
        ...

    def rest(self) -> None:
        """Look no more."""
        ...

    def entered(self, state: str, why: str) -> None:
        """How it stands, and what was decided, in words."""
        ...


class Peering(Protocol):
    """One peer."""

    def appeared(self) -> None:
        "It is at a relay where we are, and we have no session with it."

    def vanished(self) -> None:
        "No relay where we are has it any more."

    def established(self) -> None:
        "A handshake is complete: there is a session, through a relay."

    def failed(self, reason: str) -> None:
        "A handshake came to nothing."

    def void(self, reason: str) -> None:
        "The session is of no use any more: the peer is another process, or closed it."

    def found(self, way: str) -> None:
        "A direct path is active."

    def lost(self) -> None:
        "No direct path is active any more."

    def streamed(self, way: str) -> None:
        "A path by TCP is active."

    def cut(self) -> None:
        "No path by TCP is active any more."

    def addresses_changed(self, whose: str) -> None:
        "Ours or the peer's: what has failed may work now."

    def wait_ended(self) -> None:
        "The time has come."

    def stop(self) -> None:
        "Enough."


@dataclass
class _Core:
    hands: Hands
    attempts: Attempts
    here: bool = False  # whether a relay has it
    looking: bool = False  # whether a search is under way

    def greet(self, peer: Peering, why: str) -> None:
        """Begin a handshake, for a limited time."""
        self.attempts.begin_handshake(peer.wait_ended)
        self.hands.entered("meeting", why)
        self.hands.greet()

    def search(self, peer: Peering, why: str, state: str = "searching") -> None:
        """Look for a direct way, for a limited time."""
        self.attempts.begin_search(peer.wait_ended)
        if why:
            self.hands.entered(state, why)
        self.looking = True
        self.hands.search()

    def rest(self) -> None:
        """Look no more."""
        self.looking = False
        self.hands.rest()

    def fallen_back(self) -> str:
        """What is left, in words."""
        return "the relay carries on" if self.here else "no relay has it either"


_machine = TypeMachineBuilder(Peering, _Core)
_apart = _machine.state("apart")  # no session, and no relay has it
_meeting = _machine.state("meeting")  # a handshake is under way
_estranged = _machine.state("estranged")  # the last handshake failed
_searching = _machine.state("searching")  # relayed, and a direct way is looked for
_settled = _machine.state("settled")  # relayed; the next search is a while away
_streaming = _machine.state("streaming")  # a path by TCP is active, and one by UDP is looked for now and then
_direct = _machine.state("direct")  # a direct path is active
_stopped = _machine.state("stopped")


# meeting


@_apart.upon(Peering.appeared).to(_meeting)
def meet(peer: Peering, core: _Core) -> None:
    core.here = True
    core.attempts.forgive()
    core.greet(peer, "it is at a relay")


@_estranged.upon(Peering.appeared).to(_meeting)
def meet_anew(peer: Peering, core: _Core) -> None:
    core.here = True
    core.greet(peer, "it has come to a relay again")


@_meeting.upon(Peering.appeared).to(_meeting)
def start_over(peer: Peering, core: _Core) -> None:
    core.here = True  # by another line, or as another process: what was under way may have ended nowhere
    core.hands.give_up()
    core.greet(peer, "it has come to a relay again")


@_meeting.upon(Peering.failed).to(_estranged)
def back_off(peer: Peering, core: _Core, reason: str) -> None:
    seconds = core.attempts.handshake_failed(peer.wait_ended)
    core.hands.entered("estranged", f"no session: {reason}; trying again in {seconds:.1f} s")


@_meeting.upon(Peering.wait_ended).to(_estranged)
def give_up(peer: Peering, core: _Core) -> None:
    core.hands.give_up()
    back_off(peer, core, f"no answer within {core.attempts.patience.greeting:g} s")


@_estranged.upon(Peering.wait_ended).to(_meeting)
def try_again(peer: Peering, core: _Core) -> None:
    core.greet(peer, "time to try again")


@_meeting.upon(Peering.vanished).to(_apart)
@_estranged.upon(Peering.vanished).to(_apart)
def part(peer: Peering, core: _Core) -> None:
    core.here = False
    core.attempts.quiet()
    core.hands.give_up()
    core.hands.entered("apart", "it has left every relay where we are")


# a session, and the search


@_apart.upon(Peering.established).to(_searching)
@_meeting.upon(Peering.established).to(_searching)
@_estranged.upon(Peering.established).to(_searching)
@_searching.upon(Peering.established).to(_searching)
@_settled.upon(Peering.established).to(_searching)
@_streaming.upon(Peering.established).to(_searching)
@_direct.upon(Peering.established).to(_searching)
def begin_search(peer: Peering, core: _Core) -> None:
    core.attempts.forgive()
    core.search(peer, "the session is up, through a relay")


@_searching.upon(Peering.wait_ended).to(_settled)
def settle(peer: Peering, core: _Core) -> None:
    core.rest()
    seconds = core.attempts.search_given_up(peer.wait_ended)
    why = f"no direct way is in use after {core.attempts.patience.search:g} s of search"
    core.hands.entered("settled", f"{why}; the next search is in {seconds:.0f} s")


@_settled.upon(Peering.wait_ended).to(_searching)
def search_again(peer: Peering, core: _Core) -> None:
    core.search(peer, "time to search again")


@_settled.upon(Peering.addresses_changed).to(_searching)
@_searching.upon(Peering.addresses_changed).to(_searching)
def search_at_once(peer: Peering, core: _Core, whose: str) -> None:
    core.search(peer, f"{whose} addresses have changed")


@_searching.upon(Peering.streamed).to(_streaming)
@_settled.upon(Peering.streamed).to(_streaming)
def go_by_stream(peer: Peering, core: _Core, way: str) -> None:
    core.hands.entered("streaming", f"{way} works; UDP is still looked for")  # when it would have been: the timer stays


@_streaming.upon(Peering.wait_ended).to(_streaming)
def look_for_udp(peer: Peering, core: _Core) -> None:
    if core.looking:
        core.rest()
        core.attempts.search_given_up(peer.wait_ended)
    else:
        core.search(peer, "")  # nothing to tell: it is so every minute


@_streaming.upon(Peering.addresses_changed).to(_streaming)
def look_at_once(peer: Peering, core: _Core, whose: str) -> None:
    core.search(peer, f"{whose} addresses have changed; looking for a better way", "streaming")


@_streaming.upon(Peering.cut).to(_searching)
def look_for_any(peer: Peering, core: _Core) -> None:
    core.search(peer, f"the stream fell silent; {core.fallen_back()}")


@_searching.upon(Peering.found).to(_direct)
@_settled.upon(Peering.found).to(_direct)
@_streaming.upon(Peering.found).to(_direct)
def go_direct(peer: Peering, core: _Core, way: str) -> None:
    core.attempts.quiet()
    core.rest()
    core.hands.entered("direct", f"{way} works")


@_direct.upon(Peering.lost).to(_searching)
def fall_back(peer: Peering, core: _Core) -> None:
    core.search(peer, f"the direct path fell silent; {core.fallen_back()}")


@_direct.upon(Peering.addresses_changed).to(_direct)
def look_around(peer: Peering, core: _Core, whose: str) -> None:
    core.search(peer, f"{whose} addresses have changed; looking for a better way", "direct")


@_direct.upon(Peering.wait_ended).to(_direct)
def stop_looking(peer: Peering, core: _Core) -> None:
    core.attempts.quiet()
    core.rest()


@_searching.upon(Peering.void).to(_apart)
@_settled.upon(Peering.void).to(_apart)
@_streaming.upon(Peering.void).to(_apart)
@_direct.upon(Peering.void).to(_apart)
def forget(peer: Peering, core: _Core, reason: str) -> None:
    core.attempts.quiet()
    core.rest()
    core.hands.entered("apart", reason)


@_searching.upon(Peering.stop).to(_stopped)
@_settled.upon(Peering.stop).to(_stopped)
@_streaming.upon(Peering.stop).to(_stopped)
@_direct.upon(Peering.stop).to(_stopped)
@_apart.upon(Peering.stop).to(_stopped)
@_meeting.upon(Peering.stop).to(_stopped)
@_estranged.upon(Peering.stop).to(_stopped)
def leave(peer: Peering, core: _Core) -> None:
    core.attempts.quiet()
    core.hands.give_up()
    core.rest()


# what relays tell while there is a session: the paths through them are not ours to keep


def _is_here(peer: Peering, core: _Core) -> None:
    core.here = True


def _is_away(peer: Peering, core: _Core) -> None:
    core.here = False


for _state in (_searching, _settled, _streaming, _direct):
    _state.upon(Peering.appeared).to(_state)(_is_here)
    _state.upon(Peering.vanished).to(_state)(_is_away)


# What comes too late, or changes nothing.
for _state in (_apart, _meeting, _estranged, _stopped):
    for _void in (
        Peering.found,
        Peering.lost,
        Peering.streamed,
        Peering.cut,
        Peering.addresses_changed,
        Peering.void,
    ):
        _state.upon(_void).to(_state).returns(None)
for _void in (Peering.vanished, Peering.wait_ended, Peering.failed):
    _apart.upon(_void).to(_apart).returns(None)
for _state in (_estranged, _searching, _settled, _streaming, _direct):
    _state.upon(Peering.failed).to(_state).returns(None)
for _state in (_searching, _settled, _streaming):
    _state.upon(Peering.lost).to(_state).returns(None)
for _state in (_searching, _settled, _direct):
    _state.upon(Peering.cut).to(_state).returns(None)
for _state in (_streaming, _direct):
    _state.upon(Peering.streamed).to(_state).returns(None)
_direct.upon(Peering.found).to(_direct).returns(None)
for _void in (
    Peering.appeared,
    Peering.vanished,
    Peering.established,
    Peering.failed,
    Peering.wait_ended,
    Peering.stop,
):
    _stopped.upon(_void).to(_stopped).returns(None)
PeeringMachine = _machine.build()


def peering(hands: Hands, clock: IReactorTime, chance: Callable[[], float], patience: Patience = PATIENCE) -> Peering:
    """
    A peer that was not met yet.

    :param chance: a fresh number in 0 .. 1 at each call, for the jitter.
    """
    return PeeringMachine(_Core(hands, Attempts(clock, chance, patience)))
