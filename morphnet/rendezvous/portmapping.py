"""
The life story of a port at the router at home: asked for, prolonged, given back.

PCP is tried first, NAT-PMP when the router does not know PCP or does not answer. What makes inputs of a router's
datagrams is in rendezvous/mappedport.

Source: RFC 6887 sections 8, 11 and 15; RFC 6886 section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from automat import TypeMachineBuilder
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from morphnet.wire.pcp import PMP_ADDRESS_REQUEST, UDP, MapRequest, encode_pcp, encode_pmp

JITTER = 0.1  # RFC 6887 section 8.1.1: each wait is longer or shorter by at most this share


@dataclass(frozen=True, slots=True)
class Wish:
    """The mapping that we want."""

    host: str  # our own IPv4 address, towards this router
    port: int  # ours
    nonce: bytes  # 12 random bytes; while a mapping lasts, a router listens only to who knows its nonce
    protocol: int = UDP
    lifetime: int = 1200  # seconds; half of it is how long a router's restart may go unnoticed


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, all in seconds."""

    # For the answer to each try. RFC 6887 has no last try; but behind it may be a router that knows only NAT-PMP.
    pcp: tuple[float, ...] = (3.0, 6.0)
    pmp: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)  # RFC 6886 section 3.1
    giving_back: tuple[float, ...] = (0.25, 0.5, 1.0)  # we are about to end
    rest: float = 600.0  # when no router answers, or it says no
    soonest: float = 30.0  # after a refusal, whatever the router says
    longest_rest: float = 1800.0
    least: float = 4.0  # between two renewals; RFC 6887 section 11.2.1
    longest: float = 86400.0  # that we believe in a mapping


PATIENCE = Patience()


class Router(Protocol):
    """The way to the router."""

    def ask(self, request: bytes) -> None:
        """Send it this datagram; what it answers goes to `MappedPort.received`."""
        ...

    def done(self) -> None:
        """Nothing more is asked, until the mapping is started again."""
        ...


class Listener(Protocol):
    """Who wants to know."""

    def mapped(self, host: str, port: int) -> None:
        """What is sent to this address outside comes to our port. It replaces the one told before."""
        ...

    def unmapped(self, reason: str) -> None:
        """There is no mapping, or none any more; may be told again, with another reason."""
        ...


@dataclass(frozen=True, slots=True)
class Grant:
    """What a router gave."""

    host: str  # outside
    port: int  # outside
    lifetime: int  # seconds
    encode: Callable[[MapRequest], bytes]  # in the protocol that it was given in


class Mapping(Protocol):
    """A mapping, as we want it to be."""

    def start(self) -> None:
        "The mapping is wanted."

    def granted(self, host: str, port: int, lifetime: int) -> None:
        "The router has mapped our port; `host` is empty in NAT-PMP, where it was told before."

    def addressed(self, host: str) -> None:
        "The router has told its address outside, in NAT-PMP."

    def given_back(self) -> None:
        "The router has removed the mapping, as we asked."

    def refused(self, reason: str, seconds: float) -> None:
        "The router said no, and will for so long."

    def unsupported(self) -> None:
        "The router does not speak the protocol that it was asked in."

    def silence(self) -> None:
        "The router did not answer the last try."

    def wait_ended(self) -> None:
        "The time has come, to renew or to ask anew."

    def lapsed(self) -> None:
        "The lifetime of the mapping has ended."

    def restarted(self) -> None:
        "The router has lost its mappings, by what its clock says."

    def network_changed(self) -> None:
        "It may be another router that we ask now."

    def stop(self) -> None:
        "The mapping is not wanted any more."


@dataclass
class _Core:
    router: Router
    listener: Listener
    clock: IReactorTime
    chance: Callable[[], float]  # 0 .. 1, evenly
    wish: Wish
    patience: Patience
    held: Grant | None = None
    doubtful: bool = False  # whether the router may have lost what we hold
    host: str = ""  # the router's address outside, in NAT-PMP
    request: bytes = b""
    waits: Sequence[float] = ()  # for the answers to the tries that are left
    timer: IDelayedCall | None = field(default=None)
    end: IDelayedCall | None = field(default=None)  # of what we hold

    def at(self, seconds: float, what: Callable[[], None]) -> None:
        """The one timer besides `end`: a new one replaces the old."""
        _cancel(self.timer)
        self.timer = self.clock.callLater(seconds, what)

    def ask(self, link: Mapping, request: bytes, waits: Sequence[float]) -> None:
        """Try as often as there are waits."""
        self.request, self.waits = request, waits
        self.again(link)

    def again(self, link: Mapping) -> None:
        """The next try, if there is one."""
        if not self.waits:
            link.silence()
            return
        wait, self.waits = self.waits[0], self.waits[1:]
        self.at(wait * (1.0 + JITTER * (2.0 * self.chance() - 1.0)), lambda: self.again(link))
        self.router.ask(self.request)

    def wanted(self, lifetime: int) -> MapRequest:
        """What we want; of the outside, what we have, else the same port as inside."""
        wish, held = self.wish, self.held
        host, port = ((held.host, held.port) if held else ("0.0.0.0", wish.port)) if lifetime else ("0.0.0.0", 0)
        return MapRequest(wish.host, wish.nonce, wish.protocol, wish.port, lifetime, host, port)

    def take(self, link: Mapping, grant: Grant) -> None:
        """Hold it, until it is time to renew."""
        before, self.held, self.doubtful = self.held, grant, False
        _cancel(self.end)
        self.end = self.clock.callLater(min(grant.lifetime, self.patience.longest), link.lapsed)
        # RFC 6887 section 11.2.1: at 1/2 to 5/8 of the lifetime, so that not all machines behind a router ask at once.
        # What lives longer than we wished is renewed as if it did not, to notice that the router lost it.
        share = 0.5 + self.chance() / 8
        self.at(max(min(grant.lifetime, self.wish.lifetime) * share, self.patience.least), link.wait_ended)
        if before is None or (before.host, before.port) != (grant.host, grant.port):
            self.listener.mapped(grant.host, grant.port)

    def drop(self, reason: str) -> None:
        """Hold nothing."""
        self.held, self.doubtful = None, False
        _cancel(self.end)
        self.listener.unmapped(reason)

    def rest(self, link: Mapping, seconds: float, reason: str) -> None:
        """Ask anew after so long; what we hold works until it lapses, and is asked for sooner."""
        if self.held is None or self.doubtful:
            self.drop(reason)
        elif self.end is not None:
            left = self.end.getTime() - self.clock.seconds()
            seconds = max(left / 2, self.patience.least)
        self.at(seconds, link.wait_ended)

    def give_back(self, link: Mapping, encode: Callable[[MapRequest], bytes] | None) -> None:
        """
        Give back what we hold, until the router says yes; or what we may get, without waiting for that.

        :param encode: in the protocol that a mapping is being asked for in.
        """
        _cancel(self.timer)
        held = self.held
        if held is not None:
            self.drop("stopped")
            self.ask(link, held.encode(self.wanted(0)), self.patience.giving_back)
            return
        if encode is not None:
            self.router.ask(encode(self.wanted(0)))
        link.silence()


def _cancel(call: IDelayedCall | None) -> None:
    if call is not None and call.active():
        call.cancel()


_machine = TypeMachineBuilder(Mapping, _Core)
_idle = _machine.state("idle")  # not started yet
_pcp = _machine.state("pcp")  # asked for by PCP
_address = _machine.state("address")  # asked for the router's address by NAT-PMP
_port = _machine.state("port")  # asked for by NAT-PMP
_by_pcp = _machine.state("by_pcp")  # held, and to be renewed by PCP
_by_pmp = _machine.state("by_pmp")  # held, and to be renewed by NAT-PMP
_resting = _machine.state("resting")  # until it is worth while to ask again; something may still be held
_leaving = _machine.state("leaving")  # given back, but the router has not said yes
_stopped = _machine.state("stopped")  # for good, or until started again
_ASKING = (_pcp, _address, _port)
_HOLDING = (_by_pcp, _by_pmp)


@_idle.upon(Mapping.start).to(_pcp)
@_leaving.upon(Mapping.start).to(_pcp)
@_stopped.upon(Mapping.start).to(_pcp)
@_by_pcp.upon(Mapping.wait_ended).to(_pcp)
@_resting.upon(Mapping.wait_ended).to(_pcp)
def ask_by_pcp(link: Mapping, core: _Core) -> None:
    core.ask(link, encode_pcp(core.wanted(core.wish.lifetime)), core.patience.pcp)


for _state in (*_ASKING, *_HOLDING, _resting):

    @_state.upon(Mapping.network_changed).to(_pcp)
    def ask_at_once(link: Mapping, core: _Core) -> None:
        core.doubtful = core.held is not None
        ask_by_pcp(link, core)


for _state in (*_HOLDING, _resting):
    _state.upon(Mapping.restarted).to(_pcp)(ask_at_once)


@_pcp.upon(Mapping.unsupported).to(_address)
@_pcp.upon(Mapping.silence).to(_address)
@_by_pmp.upon(Mapping.wait_ended).to(_address)
def ask_for_the_address(link: Mapping, core: _Core) -> None:
    core.ask(link, PMP_ADDRESS_REQUEST, core.patience.pmp)


@_address.upon(Mapping.addressed).to(_port)
def ask_by_pmp(link: Mapping, core: _Core, host: str) -> None:
    core.host = host
    core.ask(link, encode_pmp(core.wanted(core.wish.lifetime)), core.patience.pmp)


@_pcp.upon(Mapping.granted).to(_by_pcp)
def take_from_pcp(link: Mapping, core: _Core, host: str, port: int, lifetime: int) -> None:
    core.take(link, Grant(host, port, lifetime, encode_pcp))


@_port.upon(Mapping.granted).to(_by_pmp)
def take_from_pmp(link: Mapping, core: _Core, host: str, port: int, lifetime: int) -> None:
    core.take(link, Grant(core.host, port, lifetime, encode_pmp))


for _state in _ASKING:

    @_state.upon(Mapping.refused).to(_resting)
    def rest_after_refusal(link: Mapping, core: _Core, reason: str, seconds: float) -> None:
        core.rest(link, seconds, reason)

    @_state.upon(Mapping.restarted).to(_state)
    def doubt(link: Mapping, core: _Core) -> None:
        # We ask already, and the answer that told it is either the mapping made anew or a step to it.
        core.doubtful = core.held is not None


@_address.upon(Mapping.silence).to(_resting)
@_port.upon(Mapping.silence).to(_resting)
def rest_after_silence(link: Mapping, core: _Core) -> None:
    core.rest(link, core.patience.rest, "no router answers")


for _state in (*_ASKING, *_HOLDING, _resting):

    @_state.upon(Mapping.lapsed).to(_state)
    def lapse(link: Mapping, core: _Core) -> None:
        core.drop("the router did not prolong it")


@_pcp.upon(Mapping.stop).to(_leaving)
def leave_pcp(link: Mapping, core: _Core) -> None:
    core.give_back(link, encode_pcp)


@_port.upon(Mapping.stop).to(_leaving)
def leave_pmp(link: Mapping, core: _Core) -> None:
    core.give_back(link, encode_pmp)


@_address.upon(Mapping.stop).to(_leaving)
@_by_pcp.upon(Mapping.stop).to(_leaving)
@_by_pmp.upon(Mapping.stop).to(_leaving)
@_resting.upon(Mapping.stop).to(_leaving)
def leave(link: Mapping, core: _Core) -> None:
    core.give_back(link, None)


@_idle.upon(Mapping.stop).to(_stopped)
@_leaving.upon(Mapping.given_back).to(_stopped)
@_leaving.upon(Mapping.silence).to(_stopped)
@_leaving.upon(Mapping.unsupported).to(_stopped)
def be_done(link: Mapping, core: _Core) -> None:
    _cancel(core.timer)
    core.router.done()


@_leaving.upon(Mapping.refused).to(_stopped)
def be_done_anyway(link: Mapping, core: _Core, reason: str, seconds: float) -> None:
    be_done(link, core)


# What comes too late, or changes nothing.
_DEAD, _NOT_ASKING = (_idle, _leaving, _stopped), (_idle, *_HOLDING, _resting, _stopped)
for _states, _voids in (
    ((*_ASKING, *_HOLDING, _resting), (Mapping.start, Mapping.given_back)),
    ((_idle, _stopped), (Mapping.given_back,)),
    (_DEAD, (Mapping.granted, Mapping.wait_ended, Mapping.lapsed, Mapping.restarted, Mapping.network_changed)),
    (_NOT_ASKING, (Mapping.refused, Mapping.unsupported, Mapping.silence)),
    ((_idle, _pcp, _port, *_HOLDING, _resting, _leaving, _stopped), (Mapping.addressed,)),
    ((_address, *_HOLDING, _resting), (Mapping.granted,)),
    (_ASKING, (Mapping.wait_ended,)),
    ((_address, _port), (Mapping.unsupported,)),  # PCP's second try was answered too
    ((_leaving, _stopped), (Mapping.stop,)),
):
    for _state in _states:
        for _void in _voids:
            _state.upon(_void).to(_state).returns(None)
MappingMachine = _machine.build()


def mapping(
    router: Router,
    listener: Listener,
    clock: IReactorTime,
    chance: Callable[[], float],
    wish: Wish,
    patience: Patience = PATIENCE,
) -> Mapping:
    """
    A mapping that is not asked for yet.

    :param chance: a fresh number in 0 .. 1 at each call, for the jitter.
    """
    return MappingMachine(_Core(router, listener, clock, chance, wish, patience))
