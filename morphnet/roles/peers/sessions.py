"""The sessions with peers in the data plane, and the checks that belong to them."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence

from morphnet.config.roles import Tuning
from morphnet.net.pump import Pump
from morphnet.traversal.checks import Checker
from morphnet.traversal.courtesy import Courtesy
from morphnet.tunnel.events import Effects, Event
from morphnet.tunnel.part import Part
from morphnet.tunnel.session import Session
from morphnet.wire.probes import ProbeKeys

Names = dict[str, tuple[str, ...]]  # inner addresses by the name of a peer


class Sessions:
    """
    :param courtesy: of all that is sent to addresses which others have named.
    :param met: told of the peers with whom there is a session, and of their inner addresses, when that changes.
    """

    def __init__(
        self, pump: Pump, entropy: Callable[[int], bytes], courtesy: Courtesy, met: Callable[[Names], None]
    ) -> None:
        self._pump, self._entropy, self._courtesy, self._met = pump, entropy, courtesy, met
        self._names: Names = {}
        self._scheduler = ""  # of sessions that begin from now on; "" for what their tuning says

    def begin_with(self, scheduler: str) -> None:
        """Have sessions begin with that one from now on, whatever their tuning says."""
        self._scheduler = scheduler

    def begin(self, peer: str, name: bytes, tuning: Tuning, inner: Sequence[str], *, caller: bool) -> Session:
        """
        A session with that peer, in place of any other; it has no keys yet.

        :param inner: the peer's addresses inside; packets for them go to it, and may come from it.
        """
        addresses = [ipaddress.ip_address(each).packed for each in inner]
        part = Part.CALLER if caller else Part.CALLED
        session = self._pump.tunnel.add_session(peer, name, tuning, addresses, part=part)
        session.heard_at = self._pump.now()
        if self._scheduler:
            session.set_scheduler(self._scheduler)
        self._names[peer] = tuple(inner)
        self._met(dict(self._names))
        return session

    def end(self, peer: str) -> None:
        """There is none any more."""
        self._pump.tunnel.drop_session(peer)
        if self._names.pop(peer, None) is not None:
            self._met(dict(self._names))

    def issue_ids(self, session: Session, number: int) -> list[bytes]:
        """So many ids by which the other end may name the session on the wire."""
        return self._pump.tunnel.issue_ids(session, number)

    def follow(self, peer: str, hear: Callable[[Event], None]) -> None:
        """Have what the data plane tells of the session with that peer."""
        self._pump.follow_session(peer, hear)

    def leave(self, peer: str) -> None:
        """Have it no more."""
        self._pump.leave_session(peer)

    # -- connectivity checks -------------------------------------------------------------------------------------------

    def begin_checks(self, peer: str, keys: ProbeKeys) -> Checker:
        """What looks for direct ways to that peer, and answers when it looks."""
        checker = Checker(peer, keys, self._entropy, self._courtesy)
        self._pump.tunnel.add_extension(keys.id, checker)
        return checker

    def end_checks(self, checker: Checker) -> None:
        """Neither any more."""
        self._pump.tunnel.drop_extension(checker.keys.id, checker)

    def uplink_of(self, door: int) -> str:
        """The name of the uplink that a door uses; "" when it is gone."""
        return self._pump.carrier(door).name

    # -- carrying out --------------------------------------------------------------------------------------------------

    def carry_out(self, session: Session, effects: Effects) -> None:
        """What a change from outside asked for."""
        self._pump.tunnel.poke(session, self._pump.now())
        self._pump.carry_out(effects)

    def wake(self) -> None:
        """Checks have something to do sooner than they had."""
        self._pump.carry_out(Effects())
