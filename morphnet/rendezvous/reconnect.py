"""
The life story of a client's control link: it is called again for ever.

Source: docs/protocol section 6; figures A10 and A11.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from automat import TypeMachineBuilder
from twisted.internet.interfaces import IDelayedCall, IReactorTime


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, all in seconds."""

    # Before each try after the first. Dense at first: a server that is restarted is found within half a second.
    steps: tuple[float, ...] = (0.05, 0.1, 0.2, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1.0, 2.0, 4.0, 8.0)
    longest: float = 10.0  # between tries, once the steps are used up
    attempt: float = 5.0  # for one try
    refused: float = 60.0  # after a refusal that gave no hope
    longest_ban: float = 600.0  # however long the server asks us to stay away
    stable: float = 1.0  # each link that is lost makes the first wait a step longer; each so long that it held, shorter
    jitter: float = 0.2  # each wait is longer or shorter by at most this share


PATIENCE = Patience()


class Dialer(Protocol):
    """Who does what the machine decides."""

    def dial(self) -> None:
        """Call the server; one of opened, failed, refused follows, later."""
        ...

    def hang_up(self) -> None:
        """End the call or the link; nothing follows."""
        ...

    def entered(self, state: str) -> None:
        """One phrase for people: "connected", "reconnecting in 3 s: connection refused"."""
        ...


class Reconnect(Protocol):
    """The control link, as the client wants it to be."""

    def start(self) -> None:
        "The client wants a link."

    def opened(self) -> None:
        "The server has welcomed us."

    def failed(self, reason: str) -> None:
        "The call came to nothing."

    def refused(self, reason: str, retry_after: float | None) -> None:
        "The server said no, until so many seconds from now, or for good (None)."

    def lost(self, reason: str) -> None:
        "The link that was up is gone."

    def wait_ended(self) -> None:
        "The time has come, for the next try or to give this one up."

    def network_changed(self) -> None:
        "An uplink came, went or changed its address."

    def stop(self) -> None:
        "The client wants no link any more."


@dataclass
class _Core:
    dialer: Dialer
    clock: IReactorTime
    chance: Callable[[], float]  # 0 .. 1, evenly
    patience: Patience
    tries: int = 0  # the step that comes next
    brief: int = 0  # the step after the link is lost: how many were lost sooner than `stable`
    up_at: float = 0.0  # the clock, when the link opened
    timer: IDelayedCall | None = field(default=None)

    def at(self, seconds: float, what: Callable[[], None]) -> None:
        """The one timer: a new one replaces the old."""
        self.quiet()
        self.timer = self.clock.callLater(seconds, what)

    def quiet(self) -> None:
        """No timer."""
        if self.timer is not None and self.timer.active():
            self.timer.cancel()
        self.timer = None

    def wait(self, link: Reconnect, seconds: float, what: str, reason: str) -> None:
        """Wait about so long, and say why."""
        seconds *= 1.0 + self.patience.jitter * (2.0 * self.chance() - 1.0)
        self.at(seconds, link.wait_ended)
        self.dialer.entered(
            f"{what} in {seconds:.1f} s: {reason}" if seconds < 1 else f"{what} in {seconds:.0f} s: {reason}"
        )

    def back_off(self, link: Reconnect, reason: str) -> None:
        """Wait for the next step."""
        steps = self.patience.steps
        step = steps[self.tries] if self.tries < len(steps) else self.patience.longest
        self.tries += 1
        self.wait(link, min(step, self.patience.longest), "reconnecting", reason)

    def attempt(self, link: Reconnect) -> None:
        """Call, for a limited time."""
        self.at(self.patience.attempt, link.wait_ended)
        self.dialer.entered("connecting")
        self.dialer.dial()


_machine = TypeMachineBuilder(Reconnect, _Core)
_idle = _machine.state("idle")  # not started yet
_trying = _machine.state("trying")  # a call is under way
_up = _machine.state("up")  # the link is open
_waiting = _machine.state("waiting")  # for the next try
_stopped = _machine.state("stopped")  # for good, or until started again


@_idle.upon(Reconnect.start).to(_trying)
@_stopped.upon(Reconnect.start).to(_trying)
def begin(link: Reconnect, core: _Core) -> None:
    core.tries = 0
    core.attempt(link)


@_waiting.upon(Reconnect.wait_ended).to(_trying)
def try_again(link: Reconnect, core: _Core) -> None:
    core.attempt(link)


@_waiting.upon(Reconnect.network_changed).to(_trying)
def try_at_once(link: Reconnect, core: _Core) -> None:
    core.tries = 0  # what failed before may have been the network
    core.attempt(link)


@_trying.upon(Reconnect.opened).to(_up)
def remember_when(link: Reconnect, core: _Core) -> None:
    core.quiet()
    core.up_at = core.clock.seconds()
    core.dialer.entered("connected")


@_trying.upon(Reconnect.failed).to(_waiting)
def wait_after_failure(link: Reconnect, core: _Core, reason: str) -> None:
    core.back_off(link, reason)


@_trying.upon(Reconnect.wait_ended).to(_waiting)
def give_up(link: Reconnect, core: _Core) -> None:
    core.dialer.hang_up()
    core.back_off(link, f"no answer in {core.patience.attempt:g} s")


@_trying.upon(Reconnect.refused).to(_waiting)
def wait_after_refusal(link: Reconnect, core: _Core, reason: str, retry_after: float | None) -> None:
    # Even a refusal for good may be taken back by the operator: ask again, seldom.
    seconds = core.patience.refused if retry_after is None else min(max(retry_after, 0.5), core.patience.longest_ban)
    core.wait(link, seconds, "refused, asking again", reason)


@_up.upon(Reconnect.lost).to(_waiting)
def wait_after_loss(link: Reconnect, core: _Core, reason: str) -> None:
    # A server that opens links and drops them is called ever less often. Tries that failed before the link opened say
    # nothing now, and those after this one are dense again: one that is restarted often is found as fast each time.
    held = core.clock.seconds() - core.up_at
    core.brief = max(0, core.brief + 1 - int(held / core.patience.stable))
    core.tries = core.brief
    core.back_off(link, reason)
    core.tries = 0


@_trying.upon(Reconnect.stop).to(_stopped)
@_up.upon(Reconnect.stop).to(_stopped)
def leave(link: Reconnect, core: _Core) -> None:
    core.quiet()
    core.dialer.hang_up()
    core.dialer.entered("stopped")


@_idle.upon(Reconnect.stop).to(_stopped)
@_waiting.upon(Reconnect.stop).to(_stopped)
def stop_waiting(link: Reconnect, core: _Core) -> None:
    core.quiet()
    core.dialer.entered("stopped")


@_trying.upon(Reconnect.network_changed).to(_trying)
def hope_anew(link: Reconnect, core: _Core) -> None:
    # The call may be fine, and changes come in swarms: let it run to its limit, but wait little after it.
    core.tries = 0


# What comes too late, or changes nothing.
for _state in (_idle, _stopped):
    for _void in (Reconnect.opened, Reconnect.wait_ended, Reconnect.network_changed):
        _state.upon(_void).to(_state).returns(None)
for _state in (_trying, _up, _waiting):
    _state.upon(Reconnect.start).to(_state).returns(None)
for _state in (_idle, _up, _waiting, _stopped):
    _state.upon(Reconnect.failed).to(_state).returns(None)
    _state.upon(Reconnect.refused).to(_state).returns(None)
for _state in (_idle, _trying, _waiting, _stopped):
    _state.upon(Reconnect.lost).to(_state).returns(None)
for _void in (Reconnect.opened, Reconnect.wait_ended, Reconnect.network_changed):
    _up.upon(_void).to(_up).returns(None)
_waiting.upon(Reconnect.opened).to(_waiting).returns(None)
_stopped.upon(Reconnect.stop).to(_stopped).returns(None)
ReconnectMachine = _machine.build()


def reconnect(
    dialer: Dialer, clock: IReactorTime, chance: Callable[[], float], patience: Patience = PATIENCE
) -> Reconnect:
    """
    A link that is not started yet.

    :param chance: a fresh number in 0 .. 1 at each call, for the jitter.
    """
    return ReconnectMachine(_Core(dialer, clock, chance, patience))
