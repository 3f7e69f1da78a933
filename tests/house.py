"""
The rules of the house, read off source text: who may import whom, which colour may touch what, how long things may be.

Each rule takes parsed modules and gives back complaints, one sentence each. `tests/test_house.py` applies them.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOUNDATION = frozenset(
    {"errors", "config", "status", "policystatus", "levels", "text", "compiled", "rights", "durable"}
)
EVERYTHING = None

# Under all roles, and what roles share.
_BELOW = frozenset(
    {
        "wire",
        "tunnel",
        "tunnel.events",
        "traversal",
        "legacy",
        "rendezvous",
        "host",
        "net",
        "pki",
        "store",
        "store.base",
        "ops",
    }
)
_SHARED = _BELOW | {"roles.process", "roles.certificates", "roles.signalling"}

# What each part may import of ours, besides itself and the foundation. The most specific name counts.
MAY_IMPORT: dict[str, frozenset[str] | None] = {
    "wire": frozenset(),
    "pki": frozenset(),
    "store.base": frozenset(),
    "host": frozenset(),
    "ops": frozenset(),
    "lab": frozenset(),
    "tunnel.events": frozenset({"wire"}),  # what the data plane, and traversal beside it, ask of the world
    "tunnel": frozenset({"wire", "tunnel.events"}),
    "traversal": frozenset({"wire", "tunnel.events"}),
    "legacy": frozenset({"wire"}),
    "rendezvous": frozenset({"wire", "store.base"}),
    "store": frozenset({"store.base"}),
    "net": frozenset({"wire", "tunnel", "tunnel.events", "rendezvous", "store.base", "pki"}),
    "roles": frozenset(),  # a new one comes into this table
    "roles.signalling": _BELOW,
    "roles.certificates": _BELOW | {"roles.signalling"},
    "roles.process": _BELOW | {"roles.certificates"},
    "roles.peers": _SHARED,
    "roles.carry": _BELOW,
    "roles.client": _SHARED | {"roles.peers", "roles.carry"},
    "roles.server": _SHARED | {"roles.carry"},
    "roles.relay": _SHARED,
    "roles.upload": _SHARED,
    "roles.balance": _SHARED,
    "roles.coordinator": _SHARED,
    "roles.home": _SHARED,
    "tap": EVERYTHING,
    "cli": EVERYTHING,
}
WHITE = (
    "wire",
    "tunnel",
    "traversal",
    "legacy",
    "errors",
    "config.roles",
    "config.accounting",
    "config.acme",
    "config.balance",
    "config.carry",
    "config.checks",
    "config.legacy",
    "config.manhole",
    "config.services",
    "config.mesh",
    "config.networks",
    "config.policy",
    "config.shapes",
    "config.scan",
    "config.shared",
    "config.uploadtls",
    "config.redis_url",
    "config.whole",
    "config.lines",
    "config.upload",
    "config.home",
    "config.homechannel",
    "config.edit",
    "config.wgquick",
    "status",
    "text",
)
GREY = ("rendezvous", "store.base")
WHITE_THIRD_PARTY = frozenset({"cryptography", "zstandard"})
GREY_THIRD_PARTY = frozenset(
    {
        "automat",
        "cryptography",
        "zope.interface",
        "twisted.internet.defer",
        "twisted.internet.error",
        "twisted.internet.interfaces",
        "twisted.internet.task",
        "twisted.logger",
        "twisted.python.failure",
    }
)
# Clock, entropy and doors of the standard library.
IMPURE = frozenset(
    [
        "asyncio",
        "concurrent",
        "ctypes",
        "fcntl",
        "http",
        "io",
        "logging",
        "mmap",
        "multiprocessing",
        "os",
        "random",
        "secrets",
        "select",
        "selectors",
        "shutil",
        "signal",
        "socket",
        "socketserver",
        "sqlite3",
        "ssl",
        "subprocess",
        "sys",
        "tempfile",
        "termios",
        "threading",
        "time",
        "urllib",
        "uuid",
    ]
)
IMPURE_CALLS = frozenset({"open", "print", "input", "exec", "eval"})
# Methods that ask a clock or an entropy pool, wherever they come from: datetime.now(), AESGCM.generate_key() ...
IMPURE_METHODS = frozenset({"now", "utcnow", "today", "generate", "generate_key", "urandom", "token_bytes"})
ASYNCIO_DOORS = frozenset({"net.rtc_child", "net.rtc_aiortc", "net.rtc_wrtc", "net.rtc_homechannel"})

FILE_LINES = 400
CLASS_LINES = 300
ATTRIBUTES = 25
FUNCTION_LINES = 40
ARGUMENTS = 6
VAGUE = ("manager", "handler", "engine", "helper", "utils")


@cache
def _parsed(source: str) -> ast.Module:
    return ast.parse(source)


@dataclass(frozen=True)
class Module:
    """One source file."""

    name: str  # dotted, below morphnet: "wire.frames"; "" is the package itself; others keep their whole name
    source: str
    package: bool = False  # an __init__.py: relative imports start here

    @property
    def tree(self) -> ast.Module:
        """Its syntax."""
        return _parsed(self.source)

    def within(self, *parts: str) -> bool:
        """Whether this module is one of `parts` or lies below one."""
        return any(self.name == part or self.name.startswith(part + ".") for part in parts)


def read_modules(folder: str) -> dict[str, Module]:
    """All modules below a folder of the checkout, by dotted name."""
    modules = {}
    for file in sorted((ROOT / folder).rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if package else parts)
        name = "" if name == "morphnet" else name.removeprefix("morphnet.")
        modules[name] = Module(name, file.read_text(), package)
    return modules


def imports(module: Module, ours: frozenset[str]) -> Iterator[tuple[int, str]]:
    """
    Line and full dotted name of everything that a module imports, in functions and under TYPE_CHECKING too.

    :param ours: names of our modules, to tell `from morphnet.wire import frames` from the import of a value.
    """
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            start = node.module or ""
            if node.level:
                here = f"morphnet.{module.name}".rstrip(".").split(".")
                up = node.level - 1 if module.package else node.level
                start = ".".join([*here[: len(here) - up], *filter(None, [node.module])])
            for alias in node.names:
                whole = f"{start}.{alias.name}"
                known = whole.removeprefix("morphnet.") in ours or not start.startswith("morphnet")
                yield node.lineno, whole if known else start


def _part(name: str) -> str | None:
    """The entry of MAY_IMPORT that a module falls under."""
    while name and name not in MAY_IMPORT:
        name = name.rpartition(".")[0]
    return name or None


def check_directions(modules: dict[str, Module]) -> Iterator[str]:
    """Imports go one way, as the table says."""
    for module in modules.values():
        part = _part(module.name)
        if part is None:
            if module.name and not module.within(*FOUNDATION):
                yield f"{module.name}: not in the table of the house"
            allowed: frozenset[str] | None = frozenset()
        else:
            allowed = MAY_IMPORT[part]
        if allowed is None:
            continue
        for line, name in imports(module, frozenset(modules)):
            if not name.startswith("morphnet."):
                continue  # `from morphnet import __version__` is open to all
            target = name.removeprefix("morphnet.")
            own = target == part or target.startswith(f"{part}.")
            founding = target.partition(".")[0] in FOUNDATION
            if not own and not founding and _part(target) not in allowed:
                yield f"{module.name}:{line}: may not import {target}"


def _third_party(name: str, allowed: frozenset[str]) -> bool:
    return any(name == good or name.startswith(good + ".") for good in allowed)


def check_colours(modules: dict[str, Module]) -> Iterator[str]:
    """White is the standard library without clock, entropy and doors; grey adds Automat and injected clocks."""
    for module in modules.values():
        white, grey = module.within(*WHITE), module.within(*GREY)
        if not white and not grey:
            continue
        colour = "white" if white else "grey"
        allowed = WHITE_THIRD_PARTY if white else GREY_THIRD_PARTY
        for line, name in imports(module, frozenset(modules)):
            top = name.partition(".")[0]
            standard = top in sys.stdlib_module_names and top not in IMPURE
            if top != "morphnet" and not standard and not _third_party(name, allowed):
                yield f"{module.name}:{line}: {colour} code may not import {name}"
        yield from _impure_calls(module, colour)


def _impure_calls(module: Module, colour: str) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            yield f"{module.name}:{node.lineno}: {colour} code may not call {node.func.id}()"
        elif isinstance(node.func, ast.Attribute) and node.func.attr in IMPURE_METHODS:
            yield f"{module.name}:{node.lineno}: {colour} code may not call .{node.func.attr}(): take it as an argument"


def check_reactor(modules: dict[str, Module]) -> Iterator[str]:
    """Only `tap` imports the reactor; only the WebRTC door's own process imports asyncio."""
    for module in modules.values():
        for line, name in imports(module, frozenset(modules)):
            if name.startswith("twisted.internet.reactor") and not module.within("tap"):
                yield f"{module.name}:{line}: only tap imports the reactor"
            if name.partition(".")[0] == "asyncio" and module.name not in ASYNCIO_DOORS:
                yield f"{module.name}:{line}: only the WebRTC door imports asyncio"


def read_c_files() -> dict[str, Module]:
    """What is written in C; of these only the size is looked at."""
    files = sorted((ROOT / "morphnet").rglob("*.[ch]"))
    names = [str(file.relative_to(ROOT / "morphnet")) for file in files]
    return {name: Module(name, file.read_text()) for name, file in zip(names, files, strict=True)}


def check_length(modules: dict[str, Module]) -> Iterator[str]:
    """A file past this is two ideas, in whatever language."""
    for module in modules.values():
        if module.source.count("\n") > FILE_LINES:
            yield f"{module.name}: more than {FILE_LINES} lines"


def check_circles(modules: dict[str, Module]) -> Iterator[str]:
    """No module needs itself, over others: not in functions, nor under TYPE_CHECKING."""
    ours = frozenset(modules)
    uses = {
        module.name: {name.removeprefix("morphnet.") for _, name in imports(module, ours)} & ours - {module.name, ""}
        for module in modules.values()
    }
    while ends := [name for name, used in uses.items() if not used & uses.keys()]:
        for name in ends:  # what needs nothing that is left is in no circle
            del uses[name]
    while starts := [name for name in uses if not any(name in used for used in uses.values())]:
        for name in starts:  # nor is what nobody needs
            del uses[name]
    if uses:
        yield f"in a circle, or between two: {', '.join(sorted(uses))}"


def check_classes(modules: dict[str, Module]) -> Iterator[str]:
    """A class past these sizes is several objects. How far past is not said, or an exception would not last a day."""
    for module in modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                assert node.end_lineno is not None  # ast.parse sets it
                if node.end_lineno - node.lineno + 1 > CLASS_LINES:
                    yield f"{module.name}: {node.name} has more than {CLASS_LINES} lines"
                if len(_attributes(node)) > ATTRIBUTES:
                    yield f"{module.name}: {node.name} has more than {ATTRIBUTES} attributes"


def _attributes(node: ast.ClassDef) -> set[str]:
    """Names that its methods assign to `self`."""
    return {
        each.attr
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute)
        and isinstance(each.ctx, ast.Store)
        and isinstance(each.value, ast.Name)
        and each.value.id == "self"
    }


def check_tested(modules: dict[str, Module], tests: dict[str, Module]) -> Iterator[str]:
    """morphnet/a/b.py has tests/a/test_b.py; what is for tests has none, and a package's face says what it is."""
    for module in modules.values():
        package, _, name = module.name.rpartition(".")
        test = f"tests.{package}.test_{name}" if package else f"tests.test_{name}"
        if not module.package and not module.within("lab") and test not in tests:
            yield f"{module.name}: no {test}"


def check_sizes(modules: dict[str, Module]) -> Iterator[str]:
    """Past these sizes a thing is two ideas."""
    for module in modules.values():
        lines = module.source.count("\n")
        if lines > FILE_LINES:
            yield f"{module.name}: {lines} lines, at most {FILE_LINES}"
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _check_function(module, node)


def _check_function(module: Module, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    where = f"{module.name}:{function.lineno}: {function.name}"
    assert function.end_lineno is not None  # ast.parse sets it
    lines = function.end_lineno - function.lineno + 1
    if lines > FUNCTION_LINES:
        yield f"{where}: {lines} lines, at most {FUNCTION_LINES}"
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    number = len([argument for argument in arguments if argument.arg not in ("self", "cls")])
    if number > ARGUMENTS:
        yield f"{where}: {number} arguments, at most {ARGUMENTS}"


def check_names(modules: dict[str, Module]) -> Iterator[str]:
    """A name says what a thing is; these words say nothing."""
    for module in modules.values():
        if module.name.rpartition(".")[2] in {*VAGUE, *(word + "s" for word in VAGUE)}:
            yield f"{module.name}: a vague name for a module"
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef) and node.name.lower().endswith(VAGUE):
                yield f"{module.name}:{node.lineno}: a vague name for a class: {node.name}"


def check_swallowing(modules: dict[str, Module]) -> Iterator[str]:
    """Nobody raises a bare Exception, and nobody swallows one."""
    for module in modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ExceptHandler):
                broad = node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")
                if broad and all(isinstance(step, ast.Pass) for step in node.body):
                    yield f"{module.name}:{node.lineno}: swallows every exception"
            elif isinstance(node, ast.Raise) and node.exc is not None:
                raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
                if ast.unparse(raised) == "Exception":
                    yield f"{module.name}:{node.lineno}: raises a bare Exception"
