"""
What we have set on this machine is watched, and set again when somebody else takes it away.

Where the kernel tells (routing, nftables, files) a comparison follows within LONGEST_WAIT, otherwise (sysctls)
within EVERY. Nothing is asked of the machine in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from socket import if_nametoindex
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from morphnet.errors import HostError
from morphnet.host.events import Ear, FileEar, NftListener, nft_ear, routing_ear
from morphnet.host.journal import Change, Mended
from morphnet.host.rivals import Rival, Rivals
from morphnet.host.uplinks import WatchReactor

QUIET = 0.25  # seconds without an event before a look: uplinks that changed are settled by then
LONGEST_WAIT = 0.75  # seconds from the first event to a look
EVERY = 30.0  # seconds between looks that nobody asked for
FIREWALL_AFTER = 2.0  # seconds from a change of the firewall to a look at it
SAY_EVERY = 60.0  # seconds between two lines in the log


class Watched(Protocol):
    """The host, as far as it is watched."""

    def mend(self, spare: Callable[[Change], bool]) -> list[Mended]:
        """Make again what does not stand, unless `spare` says to leave it; answers with that."""
        ...

    def watched_files(self) -> set[str]:
        """Files in which somebody could undo what we have changed."""
        ...


class HostWatch:
    """
    Compares what shall be with what is.

    :param tell: takes what an operator should know, in one line, at most once in SAY_EVERY.
    :param firewall: looks at the firewall of this machine: now and then, and when somebody has changed it.
    :param wall: Unix seconds.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: WatchReactor,
        host: Watched,
        tell: Callable[[str], None],
        firewall: Callable[[], None] = lambda: None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._reactor, self._host, self._tell, self._wall = reactor, host, tell, wall
        self._firewall = firewall
        self._firewall_call: IDelayedCall | None = None
        self._rivals = Rivals()
        self._ears: list[Ear] = []
        self._files = FileEar(self.look_soon)
        self._nft = NftListener(self._firewall_changed)
        self._pending: IDelayedCall | None = None  # a look that an event, or the end of a rest, asked for
        self._regular: IDelayedCall | None = None
        self._first_event_at = 0.0  # the reactor's clock, seconds
        self._said_at = float("-inf")  # likewise
        self._unsaid = set[str]()  # labels

    def start(self, tun: str = "") -> None:
        """
        Listen, and look from now on. What the kernel does not tell is found by the regular looks.

        :param tun: our device, which is there; "" for none.
        """
        devices = (if_nametoindex(tun),) if tun else ()
        ears = [routing_ear(devices, self.look_soon), nft_ear(self._nft, self.look_soon), self._files]
        for ear in ears:
            ear.lost = self._listen_again
            self._listen(ear)
        self._look_regularly()

    def _listen(self, ear: Ear) -> None:
        try:
            ear.open()
        except HostError as problem:
            self._log.warn("looked at every {seconds:.0f} s only: {reason}", seconds=EVERY, reason=str(problem))
            return
        self._ears.append(ear)
        self._reactor.addReader(ear)

    def _listen_again(self, ear: Ear) -> None:
        """One was given up; what it would have told meanwhile is looked for."""
        if ear in self._ears:
            self._ears.remove(ear)
            self._listen(ear)
            self.look_soon()

    def stop(self) -> None:
        """No look after this."""
        for call in (self._pending, self._regular, self._firewall_call):
            if call is not None and call.active():
                call.cancel()
        self._pending = self._regular = self._firewall_call = None
        for ear in self._ears:
            self._reactor.removeReader(ear)
            ear.close()
        self._ears = []

    def look_soon(self) -> None:
        """Something happened. A burst is one change: wait for its end, but not for ever."""
        now = self._reactor.seconds()
        if self._pending is None or not self._pending.active():
            self._first_event_at = now
            self._pending = self._reactor.callLater(QUIET, self.look)
        else:
            self._pending.reset(max(0.0, min(QUIET, self._first_event_at + LONGEST_WAIT - now)))

    def look(self) -> None:
        """Compare now, and set again what is missing."""
        for call in (self._pending, self._regular):
            if call is not None and call.active():
                call.cancel()
        now = self._reactor.seconds()
        regular = self._regular = self._reactor.callLater(EVERY, self._look_regularly)  # whatever becomes of this one
        mended = self._host.mend(lambda change: self._rivals.rests(change.label, now))
        self._files.watch(self._host.watched_files())
        self._note(mended, now)
        self._say(now)
        ends = self._rivals.rest_ends(now)
        if ends is not None and ends - now < EVERY and regular.active():
            regular.reset(ends - now)

    def _look_regularly(self) -> None:
        try:
            self._firewall()
        finally:
            self.look()

    def _firewall_changed(self) -> None:
        """Who starts containers changes it many times: one look for all."""
        if self._firewall_call is None or not self._firewall_call.active():
            self._firewall_call = self._reactor.callLater(FIREWALL_AFTER, self._firewall)

    def _note(self, mended: Sequence[Mended], now: float) -> None:
        """One look is one time, however many routes were gone."""
        errors: dict[str, str] = {}
        for each in mended:
            errors[each.change.label] = errors.get(each.change.label, "") or each.error
        for label, error in errors.items():
            by = self._nft.by if label.startswith("the nftables table") else ""
            self._rivals.met(label, now, self._wall(), by, error)
            self._unsaid.add(label)

    def _say(self, now: float) -> None:
        if not self._unsaid or now - self._said_at < SAY_EVERY:
            return
        known = self._rivals.known(now)
        text = "; ".join(sentence(label, known[label]) for label in sorted(self._unsaid) if label in known)
        self._said_at, self._unsaid = now, set()
        self._log.warn("{text}", text=text)
        self._tell(text)

    def warnings(self) -> tuple[str, ...]:
        """Who fights with us, one sentence for each thing."""
        known = self._rivals.known(self._reactor.seconds())
        return tuple(sentence(label, rival) for label, rival in sorted(known.items()))


def sentence(label: str, rival: Rival) -> str:
    """What a rival does, for a person."""
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(rival.since))
    often = "once, at" if rival.count == 1 else f"{rival.count} times since"
    by = f" (by {rival.by})" if rival.by else ""
    so = f"it cannot be set again: {rival.error}" if rival.error else "set again"
    if rival.rest and not rival.error:
        so = f"set again after {rival.rest:.0f} s each, so as not to fight"
    return f"somebody else{by} removed or changed {label}, which morphnet needs, {often} {since}: {so}"
