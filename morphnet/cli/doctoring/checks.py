"""A look at a machine: what it is, what may come of it, and how all of them are made in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from morphnet.cli.layout import Place
from morphnet.cli.running import CONFIGS, Role, file_of, role_here
from morphnet.errors import ConfigError, HostError, MorphnetError
from morphnet.host.facts import Facts
from morphnet.host.kernel import Kernel
from morphnet.ops import feedclient
from morphnet.status import NetcheckStatus, NodeStatus


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one thing."""

    text: str  # one sentence, without a full stop
    cure: str  # what to do or to run; "" where the sentence says it
    grave: bool = True  # else it works, and could be better
    mend: Callable[[], object] | None = None  # does what the cure says; raises MorphnetError or OSError


@dataclass(frozen=True, slots=True)
class Check:
    """One look. It may raise HostError or OSError: then nobody can tell from here."""

    name: str  # what is so when all is well
    look: Callable[[Patient], Iterable[Fault]]
    roles: tuple[str, ...] = tuple(CONFIGS)  # made where one of these is set up
    before: bool = False  # made where nothing is set up yet, too


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one look, or one of several faults that it found."""

    group: str  # "machine", "settings", "network", "running", "traces"
    name: str
    state: str  # "ok", "bad", "note", "mended", "unknown"
    text: str = ""
    cure: str = ""


class Patient:
    """
    The machine that is looked at; what is asked for is asked once.

    :param now: Unix seconds.
    """

    def __init__(self, place: Place, kernel: Kernel, now: float) -> None:
        self.place, self.kernel, self.now = place, kernel, now
        self.roles = list[Role]()
        self.mistaken = dict[str, Fault]()  # configurations that cannot be read, by role
        self._pictures = dict[str, NodeStatus | None]()
        self._netchecks = dict[str, NetcheckStatus]()
        for name in CONFIGS:
            if not file_of(place, name).exists():
                continue
            try:
                self.roles.append(role_here(place, name))
            except ConfigError as trouble:
                self.mistaken[name] = Fault(str(trouble), "")

    def of(self, *names: str) -> list[Role]:
        """The roles of these names that are set up here."""
        return [each for each in self.roles if each.name in names]

    def runs(self, role: Role) -> bool:
        """Whether it has a process. :raises HostError: that is not for us to know."""
        return bool(role.process())

    def picture(self, role: Role) -> NodeStatus | None:
        """What it tells of itself; None if it does not answer."""
        if role.name not in self._pictures:
            try:
                self._pictures[role.name] = role.status()
            except HostError:
                self._pictures[role.name] = None
        return self._pictures[role.name]

    def netcheck(self, role: Role) -> NetcheckStatus:
        """What it sees between itself and others. :raises HostError: it does not answer."""
        if role.name not in self._netchecks:
            said = feedclient.ask(role.feed, {"ask": "netcheck"})
            self._netchecks[role.name] = feedclient.netcheck_status(said)
        return self._netchecks[role.name]

    @cached_property
    def facts(self) -> Facts:
        """Devices, addresses and routes. :raises HostError: the kernel does not tell."""
        return self.kernel.facts()


def examine(patient: Patient, group: str, checks: Sequence[Check], *, mend: bool) -> Iterator[Result]:
    """
    Make these looks, one after the other.

    :param mend: what can be mended is.
    """
    names = {*(each.name for each in patient.roles), *patient.mistaken}
    for check in checks:
        if not names & set(check.roles) and (names or not check.before):
            continue
        yield from _examined(patient, group, check, mend=mend)


def _examined(patient: Patient, group: str, check: Check, *, mend: bool) -> Iterator[Result]:
    try:
        faults = list(check.look(patient))
    except (MorphnetError, OSError) as trouble:
        yield Result(group, check.name, "unknown", _said(trouble))
        return
    if not faults:
        yield Result(group, check.name, "ok")
    for fault in faults:
        state, cure = "bad" if fault.grave else "note", fault.cure
        if mend and fault.mend is not None:
            try:
                fault.mend()
                state = "mended"
            except (MorphnetError, OSError) as trouble:
                cure = f"{cure} (tried: {_said(trouble)})"
        yield Result(group, check.name, state, fault.text, cure)


def _said(trouble: Exception) -> str:
    if isinstance(trouble, OSError):
        where = f"{trouble.filename}: " if trouble.filename else ""
        return f"{where}{trouble.strerror or trouble}"
    return str(trouble)
