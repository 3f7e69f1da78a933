"""What a process that was killed has left on this machine; `--fix` takes it away."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from morphnet.cli import background
from morphnet.cli.doctoring.checks import Check, Fault, Patient
from morphnet.cli.running import Role
from morphnet.errors import HostError
from morphnet.host.dns import RESOLV_CONF, is_made_by_us
from morphnet.host.leftovers import holds_back, left_behind
from morphnet.ops.rundir import JOURNAL
from morphnet.ops.running import running_programs

_NAMED = 3  # things that a sentence names


def host(patient: Patient) -> Iterable[Fault]:
    """Routes, rules, tables and files are as they were."""
    for role in patient.of("client", "server"):
        if patient.runs(role):
            continue
        cure, mend = f"morphnet down {role.name}{patient.place.option()}", partial(_undo, role)
        if holds_back(role.config.state_dir / JOURNAL):
            text = f"a {role.name} that was killed has left its kill switch: nothing leaves this machine"
            yield Fault(text, f"{cure} (or `morphnet up {role.name}`, which goes on with it)", mend=mend)
            continue
        if left := _left(role):
            more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
            text = f"a {role.name} that was killed has left {', '.join(left[:_NAMED])}{more}"
            yield Fault(text, cure, mend=mend)


def _left(role: Role) -> list[str]:
    """What its journal says that stands."""
    return left_behind(role.config.state_dir / JOURNAL)


def _undo(role: Role) -> None:
    """:raises HostError: nothing could be undone by this user."""
    if not background.undo(role):
        raise HostError(f"its journal is another user's: the next start of the {role.name} undoes it")


def rules(patient: Patient) -> Iterable[Fault]:
    """No rule of ours stands without a process, or a journal, that knows of it."""
    standing = patient.kernel.our_rules()
    known = any(map(_left, patient.of("client", "server")))
    if standing and not known and not running_programs("morph-client", "morph-server"):
        text = f"{len(standing)} policy rules of ours stand, and nothing of morphnet runs"

        def mend() -> None:
            for rule in standing:
                patient.kernel.remove_rule(rule)

        yield Fault(text, "ip rule show proto 73, and `ip rule del` for each", mend=mend)


def names(patient: Patient) -> Iterable[Fault]:
    """resolv.conf is not ours while nobody runs who made it."""
    ours = is_made_by_us(patient.kernel.file(RESOLV_CONF).content)
    known = any(map(_left, patient.of("client")))
    if ours and not known and not running_programs("morph-client"):
        cure = f"write the name server of your network there: echo nameserver ADDRESS > {RESOLV_CONF}"
        yield Fault(f"{RESOLV_CONF} was made by morphnet, and nothing of it runs", cure)


def files(patient: Patient) -> Iterable[Fault]:
    """Sockets and files of a process that is gone."""
    for role in patient.roles:
        stale = [each for each in (role.pid_file, role.feed) if each.exists()]
        if stale and not patient.runs(role):
            text = f"{role.name}: {stale[0]} is of a process that is gone"
            cure = f"rm {' '.join(map(str, stale))}"
            yield Fault(text, cure, grave=False, mend=partial(background.tidy, role))


def other(patient: Patient) -> Iterable[Fault]:
    """Who runs from another directory is not seen by the commands that are given here."""
    here = set[int]()
    for role in patient.roles:
        try:
            here.add(role.process())
        except HostError:
            return
    strange = sorted(set(running_programs("morph-client", "morph-server", "morph-relay")) - here)
    if strange:
        text = f"process {strange[0]} is a morphnet of another directory"
        yield Fault(text, "look there: morphnet doctor --dir DIR", grave=False)


CHECKS = (
    Check("routes, rules and tables are as they were", host, ("client", "server")),
    Check("no policy rule stands without its process", rules, before=True),
    Check("resolv.conf is not left over", names, before=True),
    Check("no file of a dead process is left", files),
    Check("nothing runs from another directory", other),
)
