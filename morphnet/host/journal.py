"""
The journal of what morphnet changed on this machine, so that all of it can be undone, even after `kill -9`.

A change is written down, with what undoes it, and on disk before it is made. The file is JSON lines:

    {"world": "<boot id> <network namespace>"}                     one per run
    {"n": 3, "kind": "rule", "fields": {...}}                       about to be made
    {"undone": [3]}                                                 undone again

A number that comes once more replaces what it stood for: what undoes the change is another thing by then.
A half-written last line is a change that was never made; after one that could not be written whole (a full disk) the
file is written anew before anything else is added. In another world (the machine was started anew, or we are in
another network namespace) only changes that outlive a boot are undone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, Self

from twisted.logger import Logger

from morphnet.errors import HostError
from morphnet.host.kernel import Kernel, Missing, Present
from morphnet.host.look import Look

COMPACT_AT = 512  # lines; beyond that the file is written anew with what still stands


class Change(Protocol):
    """One kind of change: a frozen dataclass whose fields are str, int, bool, None or tuples of these."""

    kind: ClassVar[str]  # its name in the journal
    lasting: ClassVar[bool]  # whether it outlives a boot
    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def place(self) -> Hashable:
        """What it is about. Of two changes of one kind with the same place, the later replaces the earlier."""
        ...

    def prepared(self, kernel: Kernel) -> Self:
        """The same change, equal to this one, knowing also how things were before."""
        ...

    def apply(self, kernel: Kernel) -> None:
        """Make the change; doing it twice does no harm."""
        ...

    def undo(self, kernel: Kernel) -> None:
        """Take it back if it is still as we made it; `Missing` when there is nothing to take back."""
        ...

    def stands(self, look: Look) -> bool:
        """Whether the machine still is as this change made it."""
        ...

    @property
    def label(self) -> str:
        """What it is about, for a person: "the policy rules"."""
        ...


class JournalFile(Protocol):
    """Where the journal is kept; every write is on disk when it returns."""

    def read(self) -> bytes:
        """All of it; empty when there is none."""
        ...

    def append(self, data: bytes) -> None:
        """Add to its end."""
        ...

    def replace(self, data: bytes) -> None:
        """Put `data` in the place of all of it, in one step."""
        ...


@dataclass(frozen=True, slots=True)
class Mended:
    """A change that did not stand any more, and was made once more."""

    change: Change
    error: str = ""  # why it could not be made


@dataclass(frozen=True, slots=True)
class Entry:
    """A change in the journal that has not been undone."""

    number: int  # in the order in which the changes were made, from 1
    group: str  # whose it is; "" for what an earlier run left
    change: Change


def encode_change(number: int, change: Change) -> bytes:
    """One line of the journal."""
    values = {each.name: getattr(change, each.name) for each in fields(change)}
    return json.dumps({"n": number, "kind": change.kind, "fields": values}).encode() + b"\n"


def _about(entry: Entry) -> Hashable:
    """Two entries of one group that are about the same do not stand together: the later has replaced the earlier."""
    return entry.change.kind, entry.change.place


def _undone(numbers: Sequence[int]) -> bytes:
    return json.dumps({"undone": list(numbers)}).encode() + b"\n"


def _change_from(record: Mapping[str, Any], kinds: Mapping[str, type[Change]]) -> Change:
    """Where a file is, is not taken from the journal: a user who may write it could have us, root, put back any."""
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in record["fields"].items() if k != "path"}
    change = kinds[record["kind"]](**values)
    hash(change)  # TypeError: there is something in it that was never in a change
    return change


def decode_journal(data: bytes, kinds: Mapping[str, type[Change]]) -> tuple[str, list[Entry]]:
    """
    The world that a journal was last written in, and the changes that still stand, oldest first.

    Lines that do not parse (a torn last line, a kind that this version does not know) are passed over.
    """
    world, standing = "", dict[int, Entry]()
    for line in data.split(b"\n"):
        try:
            record = json.loads(line)
            if "world" in record:
                world = str(record["world"])
            for number in record.get("undone", ()):
                standing.pop(number, None)
            if "n" in record:
                number = int(record["n"])
                standing[number] = Entry(number, "", _change_from(record, kinds))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            continue
    return world, [standing[number] for number in sorted(standing)]


class Journal:
    """
    Makes changes and undoes them, never without having written it down.

    :param kinds: every kind of change, by its name.
    :param world: names this boot and this network namespace.
    """

    _log = Logger()

    def __init__(self, file: JournalFile, kernel: Kernel, kinds: Mapping[str, type[Change]], world: str) -> None:
        self._file, self._kernel, self._kinds, self._world = file, kernel, kinds, world
        self._entries: list[Entry] = []  # oldest first
        self._number = 0
        self._lines = 0  # in the file, since it was last written anew
        self._torn = False  # the file does not say what it should: a write failed, perhaps half-way
        self._ready = False
        self._unwanted = set[int]()  # what could not be undone: it waits for that, and is not mended

    def undo_leftovers(self, inherit: Mapping[str, str] = MappingProxyType({})) -> int:
        """
        Undo what an earlier run left behind; answers with how many changes that were. Call before any `settle`.

        A disk that is full now keeps nothing from being undone: then it is undone once more at the next start.

        :param inherit: kinds of change that are not undone, and the group that each belongs to from now on: the next
            `settle` of that group replaces them without a moment in between, or undoes them.
        :raises HostError: another process has the journal, or it cannot be read.
        """
        if self._ready:
            return 0
        world, left = decode_journal(self._file.read(), self._kinds)
        self._entries = [each for each in left if world == self._world or each.change.lasting]
        self._number = max((each.number for each in left), default=0)
        self._ready = True
        try:
            self._rewrite()
        except HostError as error:
            self._log.error("not written down: {reason}", reason=str(error))
        self._entries = [replace(each, group=inherit.get(each.change.kind, "")) for each in self._entries]
        self._undo([each for each in self._entries if not each.group])
        return len(left) - len([each for each in self._entries if each.group])

    def settle(self, group: str, wanted: Sequence[Change], *, lenient: bool = False) -> None:
        """
        Make the changes of `group` be exactly `wanted`: apply what is new, undo what is no longer wanted.

        What was made earlier and does not stand any more is made again: the kernel drops routes by itself when a link
        goes down. New comes before old is undone, so that nothing is without a way in between; where both are
        about the same place (one table, one device), new simply replaces old; what replaces another and fails leaves
        that other one there.

        :param lenient: pass over a change that fails, instead of taking back what is new in this call and raising.
        :raises HostError: a change failed.
        """
        self.undo_leftovers()
        known = {each.change: each for each in self._entries if each.group == group}
        standing = {each.number: each for each in self._entries}
        made, look = self._begin(group, [each for each in wanted if each not in known]), Look(self._kernel)
        struck = standing.keys() - {each.number for each in self._entries}
        replaced = {_about(standing[number]): standing[number].change for number in struck}
        back = set[Change]()  # what stands again
        self._unwanted -= {known[each].number for each in wanted if each in known}
        for change in wanted:
            entry = known.get(change) or made[change]
            try:
                if change in known:
                    if entry.change.stands(look):
                        continue
                    entry = self._prepared_anew(entry)
                self._apply(entry)
            except HostError as error:
                if not lenient:
                    self._take_back(list(made.values()), replaced)
                    raise
                self._log.warn("not changed: {reason}", reason=str(error))
                back |= self._take_back([entry], replaced)
        keep = {*wanted, *back}
        self._undo([each for each in self._entries if each.group == group and each.change not in keep])

    def _begin(self, group: str, changes: Sequence[Change]) -> dict[Change, Entry]:
        """Write down what is about to be made, and strike what it replaces: that is never undone, only replaced."""
        old = {_about(each): each for each in self._entries if each.group == group}
        made, struck = dict[Change, Entry](), list[int]()
        for change in changes:
            fresh = change.prepared(self._kernel)
            if replaced := old.get((change.kind, change.place)):
                struck.append(replaced.number)
                if hasattr(fresh, "before"):  # how things were before us, not before this call
                    fresh = replace(fresh, before=replaced.change.before)  # type: ignore[attr-defined]
            self._number += 1
            made[fresh] = Entry(self._number, group, fresh)
        if made:
            before = self._entries
            self._entries = [each for each in before if each.number not in struck] + list(made.values())
            lines = [encode_change(each.number, each.change) for each in made.values()]
            try:
                self._write(lines + ([_undone(struck)] if struck else []))
            except HostError:
                self._entries = before  # nothing of it was made
                raise
        return made

    def _take_back(self, entries: Sequence[Entry], replaced: Mapping[Hashable, Change]) -> set[Change]:
        """
        Undo what a call began that failed, but put back what was there before it; answers with that.

        :param replaced: by kind and place.
        """
        self._undo([each for each in entries if _about(each) not in replaced])
        back = {
            each.number: replace(each, change=replaced[_about(each)]) for each in entries if _about(each) in replaced
        }
        if not back:
            return set()
        self._entries = [back.get(each.number, each) for each in self._entries]
        try:
            self._write([encode_change(each.number, each.change) for each in back.values()])
        except HostError as error:  # what undoes it is the same thing in the same place
            self._log.error("not written down: {reason}", reason=str(error))
        look = Look(self._kernel)
        for entry in back.values():
            try:
                if not entry.change.stands(look):
                    self._apply(entry)
            except HostError as error:
                self._log.error("not put back: {reason}", reason=str(error))
        return {each.change for each in back.values()}

    def mend(self, spare: Callable[[Change], bool]) -> list[Mended]:
        """
        Compare the machine with what it shall be, and make once more what does not stand; answers with that. What
        undoes such a change is known anew: how somebody else left things is how they are left to them in the end.

        :param spare: whether a change that does not stand shall be left so for now.
        """
        look, mended = Look(self._kernel), list[Mended]()
        for entry in [each for each in self._entries if each.group and each.number not in self._unwanted]:
            try:
                if entry.change.stands(look) or spare(entry.change):
                    continue
                self._prepared_anew(entry).change.apply(self._kernel)
            except (Missing, Present):
                continue  # gone with its device, or somebody else's is in its place: nothing to make
            except HostError as error:
                mended.append(Mended(entry.change, str(error)))
            else:
                mended.append(Mended(entry.change))
        return mended

    def _prepared_anew(self, entry: Entry) -> Entry:
        fresh = replace(entry, change=entry.change.prepared(self._kernel))
        if repr(fresh) != repr(entry):  # in what it was before, which does not count when changes are compared
            self._entries = [fresh if each is entry else each for each in self._entries]
            self._write([encode_change(fresh.number, fresh.change)])
        return fresh

    def undo_group(self, group: str) -> None:
        """Undo every change of `group`."""
        self._undo([each for each in self._entries if each.group == group])

    def undo_all(self, but: Collection[str] = ()) -> None:
        """
        Undo everything, the newest change first.

        :param but: kinds of change that stay, and stay written down, for a run that inherits them.
        """
        self._undo([each for each in self._entries if each.change.kind not in but])

    @property
    def standing(self) -> list[Change]:
        """The changes that stand, oldest first."""
        return [each.change for each in self._entries]

    def _apply(self, entry: Entry) -> None:
        try:
            entry.change.apply(self._kernel)
        except Present:
            pass  # made by us before, or by somebody else: then `undo` finds that it is not ours

    def _undo(self, entries: Sequence[Entry]) -> None:
        """What cannot be undone now stays in the journal, for the next start."""
        undone: list[int] = []
        for entry in reversed(entries):
            try:
                entry.change.undo(self._kernel)
            except Missing:
                pass  # somebody was faster, or the device took it along
            except HostError as error:
                self._log.error("not undone: {reason}", reason=str(error))
                self._unwanted.add(entry.number)
                continue
            except (ValueError, TypeError, AttributeError, LookupError, OverflowError) as error:
                if entry.group:
                    raise  # our own, of this run
                # Of an earlier run, from a file that was spoilt since: no later start will understand it better.
                self._log.error("not undone, not understood: {change} ({error!r})", change=entry.change, error=error)
            undone.append(entry.number)
        if undone:
            gone = set(undone)
            self._entries = [each for each in self._entries if each.number not in gone]
            try:
                self._write([_undone(undone)])
            except HostError as error:  # a full disk: then it is undone once more at the next start, which does no harm
                self._log.error("not written down: {reason}", reason=str(error))

    def _write(self, lines: Sequence[bytes]) -> None:
        """Add lines that say what `_entries` says already; now and then write the file anew instead."""
        self._lines += len(lines)
        if self._torn or not self._entries or self._lines > COMPACT_AT + len(self._entries):
            self._rewrite()
            return
        self._torn = True  # half a line would swallow the next one
        self._file.append(b"".join(lines))
        self._torn = False

    def _rewrite(self) -> None:
        self._torn = True
        lines = [json.dumps({"world": self._world}).encode() + b"\n"]
        lines += [encode_change(each.number, each.change) for each in self._entries]
        self._file.replace(b"".join(lines))
        self._lines, self._torn = 0, False
