"""
What is still to be told to whom: of each name whether it is here, in its latest state, and no faster than so many
messages a second in all.

While little happens each change is told at once. When many come together, each watcher has its turn, and gets all that
has changed since its last one: in one message, if it knows what that is. Who came and went in between was never there.

Source: docs/protocol section 11. With one message for each pair 900 nodes that all watched all cost a relay 15 s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from twisted.internet.interfaces import IReactorTime

from morphnet.rendezvous.relay.cluster import AnyMember
from morphnet.rendezvous.relay.members import Member
from morphnet.wire.messages.relay import EVERYBODY, LIMIT, MOST_NEWS, Absent, encode, encode_news

RATE, AT_ONCE = 1500.0, 128.0  # messages a second, and after a rest
PER_MESSAGE = 256  # nodes in one message that cost what another message does
PORTION = 64  # messages that one node gets in a turn
TURN = 0.02  # seconds between two turns of what waits
ROOM = LIMIT - (8 << 10)  # bytes of one message before no more is added: the longest entry has less than 8 KiB


class Telling:
    """
    :param shown: whom a name of a network stands for now, if anybody.
    :param counts: of the relay.
    """

    def __init__(
        self, clock: IReactorTime, shown: Callable[[str, str], AnyMember | None], counts: Counter[str]
    ) -> None:
        self._clock, self._shown, self._counts = clock, shown, counts
        # By who is to be told, the next one first: whom each name stood for when it was told of it last.
        self._waiting: dict[Member, dict[str, AnyMember | None]] = {}
        self._credit, self._credited_at = AT_ONCE, clock.seconds()
        self._sleeps = False  # whether there will be a turn

    def note(self, watcher: Member, name: str, before: AnyMember | None) -> None:
        """
        Something has changed; `tell` comes after all that changes together.

        :param before: whom it stood for until now, as the watcher knows.
        """
        names = self._waiting.get(watcher)
        if names is None:
            names = self._waiting[watcher] = {}
        names.setdefault(name, before)

    def introduce(self, watcher: Member, names: Iterable[str]) -> None:
        """It knows nobody of these yet; `tell` comes after that."""
        known: dict[str, AnyMember | None] = dict.fromkeys(names)
        self._waiting[watcher] = known | self._waiting.get(watcher, {})

    def before(self, watcher: AnyMember, name: str) -> None:
        """Something of that name is about to come to it: it must know from whom."""
        if not self._waiting or not isinstance(watcher, Member):
            return
        names = self._waiting.get(watcher)
        if names is not None and name in names:
            self._tell_of(watcher, {name: names.pop(name)})
            if not names:
                del self._waiting[watcher]

    def forget(self, watcher: Member) -> None:
        """It is gone."""
        self._waiting.pop(watcher, None)

    def tell(self) -> None:
        """As much as may be told now; the rest in time."""
        if self._waiting and not self._sleeps:
            self._turn()

    def _turn(self) -> None:
        now = self._clock.seconds()
        self._credit = min(AT_ONCE, self._credit + (now - self._credited_at) * RATE)
        self._credited_at = now
        again: list[tuple[Member, dict[str, AnyMember | None]]] = []
        while self._waiting and self._credit >= 1.0:
            watcher = next(iter(self._waiting))
            names = self._waiting.pop(watcher)
            if watcher.line.reads:
                self._credit -= self._tell_some(watcher, names)
            if names:
                again.append((watcher, names))
        self._waiting.update(again)
        if self._waiting:
            self._sleeps = True
            self._clock.callLater(TURN, self._wake)

    def _wake(self) -> None:
        self._sleeps = False
        self.tell()

    def _tell_some(self, watcher: Member, names: dict[str, AnyMember | None]) -> float:
        """What is told is taken out of `names`; how many messages it was worth."""
        most = MOST_NEWS if watcher.batches else PORTION
        some = dict(islice(names.items(), most))
        told = self._tell_of(watcher, some)
        for name in some:
            del names[name]
        return told

    def _tell_of(self, watcher: Member, names: dict[str, AnyMember | None]) -> float:
        """All of these; how many messages it was worth."""
        gone, here = list[bytes](), list[bytes]()
        wants_all, network, shown = EVERYBODY in watcher.watch, watcher.network, self._shown
        for name, before in names.items():
            if not wants_all and not watcher.wants(name):
                continue
            after = shown(network, name)
            if before is not None and (after is None or after.instance != before.instance):
                gone.append(encode(Absent(before.number, name)))
            if after is not None:
                here.append(after.shown or _text(after))
        if not watcher.batches or len(gone) + len(here) < 2:
            for text in (*gone, *here):
                watcher.line.say(text)
            return max(1.0, len(gone) + len(here))
        texts = list(_batches(gone, here))
        for text in texts:
            watcher.line.say(text)
        self._counts["batches"] += len(texts)
        return len(texts) + (len(gone) + len(here)) / PER_MESSAGE


def _text(member: AnyMember) -> bytes:
    if not member.shown:
        member.shown = encode(member.present())
    return member.shown


def _batches(gone: list[bytes], here: list[bytes]) -> Iterator[bytes]:
    """As few messages as have room for these; who is gone comes before who is here."""
    size, first, second = 0, list[bytes](), list[bytes]()
    for entries, kept in ((gone, first), (here, second)):
        for entry in entries:
            if size + len(entry) > ROOM:
                yield encode_news(first, second)
                size = 0
                first.clear()
                second.clear()
            kept.append(entry)
            size += len(entry) + 1
    if first or second:
        yield encode_news(first, second)
