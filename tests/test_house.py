"""The rules of the house hold, and each of them can fail."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator

from twisted.trial.unittest import SynchronousTestCase

from tests import house
from tests.house import Module

Rule = Callable[[dict[str, Module]], Iterator[str]]

# Complaints that stand, each with its reason. Keep it short.
EXCEPTIONS: dict[str, str] = {
    "net.udp: UdpDoor has more than 300 lines": "sending and receiving are two ideas",
    "net.udp: UdpDoor has more than 25 attributes": "likewise",
}
# Modules without a test of their name: what tries them is elsewhere, mostly in the lab. No new one comes here.
# fmt: off
UNTESTED = frozenset((
    "cli.console", "cli.layout", "errors", "host.kernel", "host.look",
    "host.nft", "host.nftrules", "host.routing", "net.meet_tcp", "net.ondevice",
    "net.ring", "net.tapdevice", "net.udpsocket", "net.websocket", "ops.node", "ops.pipe",
    "ops.rundir", "ops.sockets", "pki.asking", "pki.unreadable",
    "rights", "roles.certificates.signing",
    "roles.peers.ethernet",
    "roles.balance.process", "roles.coordinator.process", "roles.home.process",
    "roles.relay.process", "roles.server.process", "store.base",
    "tap.client", "tap.coordinator", "tap.home", "tap.relay", "tap.server", "tap.upload",
    "tunnel.events", "tunnel.flight", "tunnel.inbound", "tunnel.migration", "tunnel.patience",
    "tunnel.window", "wire.batch", "wire.pure", "wire.messages.revocations",
))
# fmt: on


def _modules(*modules: Module) -> dict[str, Module]:
    """These, and enough of the house to import from."""
    names = (
        "",
        "errors",
        "config",
        "wire",
        "wire.frames",
        "store",
        "store.base",
        "store.sqlite",
        "tunnel",
        "tunnel.events",
        "traversal",
        "host",
        "net",
        "roles",
        "roles.peers",
        "roles.client",
        "tap",
        "ops",
        "lab",
    )
    return {name: Module(name, "", package=True) for name in names} | {module.name: module for module in modules}


class HouseTests(SynchronousTestCase):
    """The code as it is."""

    def _holds(self, rule: Rule, *folders: str) -> None:
        modules = {name: module for folder in folders for name, module in house.read_modules(folder).items()}
        self.assertTrue(modules)
        complaints = [text for text in rule(modules) if text not in EXCEPTIONS]
        if complaints:
            self.fail("\n".join(complaints))

    def test_directions(self) -> None:
        """Imports between packages go one way."""
        self._holds(house.check_directions, "morphnet")

    def test_colours(self) -> None:
        """White and grey code touch no clock, no entropy and no door."""
        self._holds(house.check_colours, "morphnet")

    def test_reactor(self) -> None:
        """Only tap knows the reactor."""
        self._holds(house.check_reactor, "morphnet")

    def test_sizes(self) -> None:
        """Files, functions and signatures stay short, in tests too."""
        self._holds(house.check_sizes, "morphnet", "tests", "twisted")

    def test_length(self) -> None:
        """What is written in C stays short too."""
        complaints = set(house.check_length(house.read_c_files()))
        self.assertEqual(complaints - EXCEPTIONS.keys(), set())

    def test_circles(self) -> None:
        """No two modules need each other, over however many others."""
        self._holds(house.check_circles, "morphnet")

    def test_classes(self) -> None:
        """A class is one idea."""
        self._holds(house.check_classes, "morphnet")

    def test_tested(self) -> None:
        """Every module has a test of its name; those that have none are listed, and the list holds no other."""
        complaints = house.check_tested(house.read_modules("morphnet"), house.read_modules("tests"))
        self.assertEqual({text.partition(":")[0] for text in complaints}, UNTESTED)

    def test_names(self) -> None:
        """No module and no class has a name that says nothing."""
        self._holds(house.check_names, "morphnet", "tests")

    def test_swallowing(self) -> None:
        """No exception is raised or caught without saying which."""
        self._holds(house.check_swallowing, "morphnet", "tests")

    def test_exceptions_still_needed(self) -> None:
        """An exception that nothing needs any more is removed."""
        modules = house.read_modules("morphnet") | house.read_modules("tests")
        rules = (
            house.check_directions,
            house.check_colours,
            house.check_reactor,
            house.check_sizes,
            house.check_classes,
        )
        standing = {text for rule in rules for text in rule(modules)} | set(house.check_length(house.read_c_files()))
        self.assertEqual([text for text in EXCEPTIONS if text not in standing], [])


class PluginTests(SynchronousTestCase):
    """What twistd reads."""

    def test_no_package(self) -> None:
        """twisted/plugins is no package of ours: an __init__.py there would hide Twisted's own plugins."""
        self.assertEqual(list((house.ROOT / "twisted").rglob("__init__.py")), [])

    def test_nothing_loaded(self) -> None:
        """Plugins name our modules as strings, and import only what makes a service."""
        for module in house.read_modules("twisted").values():
            names = {name for _, name in house.imports(module, frozenset())}
            self.assertEqual(names, {"twisted.application.service.ServiceMaker"})
            for call in (node for node in ast.walk(module.tree) if isinstance(node, ast.Call)):
                self.assertTrue(all(isinstance(argument, ast.Constant) for argument in call.args))


class RuleTests(SynchronousTestCase):
    """Each rule on sources made to break it."""

    def _complains(self, rule: Rule, name: str, sources: Iterable[str]) -> None:
        for source in sources:
            found = list(rule(_modules(Module(name, source))))
            self.assertEqual(len(found), 1, f"{source!r}: {found}")

    def _content(self, rule: Rule, name: str, source: str) -> None:
        self.assertEqual(list(rule(_modules(Module(name, source)))), [])

    def test_wrong_direction(self) -> None:
        """Every spelling of an import in the wrong direction is seen."""
        sources = (
            "import morphnet.net",
            "from morphnet import net",
            "from morphnet.net import pump",
            "from ..net import pump",
            "from .. import net",
            "def late():\n    from morphnet.tap import server\n",
            "import typing\nif typing.TYPE_CHECKING:\n    from morphnet.ops import feed\n",
        )
        self._complains(house.check_directions, "wire.bad", sources)
        self._complains(house.check_directions, "tunnel.bad", ["from morphnet.store.base import Lease"])
        self._complains(house.check_directions, "rendezvous.bad", ["from morphnet.store import sqlite"])
        self._complains(house.check_directions, "store.base", ["from morphnet.store import sqlite"])
        self._complains(house.check_directions, "store.sqlite", ["from morphnet.wire import frames"])
        self._complains(house.check_directions, "net.bad", ["from morphnet.ops.feed import Feed"])
        self._complains(house.check_directions, "net.bad", ["from morphnet import host"])
        self._complains(house.check_directions, "traversal.bad", ["from morphnet import tunnel"])
        self._complains(house.check_directions, "tunnel.bad", ["from morphnet import traversal"])
        self._complains(house.check_directions, "roles.server.bad", ["from morphnet.roles import peers"])
        self._complains(house.check_directions, "roles.new", ["from morphnet import wire"])
        self._complains(house.check_directions, "errors", ["from morphnet.wire import frames"])
        self._complains(house.check_directions, "stray", [""])

    def test_right_direction(self) -> None:
        """What the table allows is allowed."""
        common = "from morphnet import __version__\nfrom morphnet.errors import PeerError\n"
        self._content(house.check_directions, "wire.good", common + "from morphnet.wire.frames import Ip\n")
        self._content(house.check_directions, "store.sqlite", common + "from morphnet.store.base import Lease\n")
        self._content(house.check_directions, "net.good", common + "from morphnet.tunnel import session\n")
        self._content(house.check_directions, "traversal.good", common + "from morphnet.tunnel.events import Effects\n")
        self._content(house.check_directions, "roles.client.good", common + "from morphnet.roles.peers import mesh\n")
        self._content(house.check_directions, "tap.good", common + "from morphnet.ops import feed\n")

    def test_wrong_colour(self) -> None:
        """White code cannot reach a clock, entropy or a door; grey code cannot reach a transport."""
        sources = (
            "import time",
            "from os import urandom",
            "import random",
            "import asyncio",
            "from twisted.internet.defer import Deferred",
            "import socket",
            "open('x')",
            "from datetime import datetime\ndatetime.now()",
            "key = AESGCM.generate_key(256)",
        )
        self._complains(house.check_colours, "tunnel.bad", sources)
        grey = (
            "import os",
            "from twisted.internet.endpoints import clientFromString",
            "from twisted.internet import protocol",
        )
        self._complains(house.check_colours, "rendezvous.bad", grey)

    def test_right_colour(self) -> None:
        """What white and grey code live on is theirs."""
        self._content(
            house.check_colours, "wire.good", "import struct\nfrom cryptography.exceptions import InvalidTag\n"
        )
        grey = "from automat import TypeMachineBuilder\nfrom twisted.internet.interfaces import IReactorTime\n"
        self._content(house.check_colours, "rendezvous.good", grey)
        self._content(house.check_colours, "net.good", "import os, time, socket\n")

    def test_wrong_reactor(self) -> None:
        """Both spellings of importing the reactor are seen, and asyncio."""
        sources = ("from twisted.internet import reactor", "import twisted.internet.reactor", "import asyncio")
        self._complains(house.check_reactor, "net.bad", sources)
        self._content(house.check_reactor, "tap.good", "from twisted.internet import reactor")

    def test_wrong_size(self) -> None:
        """One line or one argument too much is too much; self does not count."""
        long = "def f():\n" + "    pass\n" * house.FUNCTION_LINES
        self._complains(
            house.check_sizes,
            "net.bad",
            [long, "pass\n" * (house.FILE_LINES + 1), "def f(a, b, c, d, /, e, *, f, g): ..."],
        )
        self._content(house.check_sizes, "net.good", "class A:\n    def f(self, a, b, c, d, e, f): ...\n")

    def test_wrong_length(self) -> None:
        """One line too much is too much, in C too."""
        for lines, found in ((house.FILE_LINES, 0), (house.FILE_LINES + 1, 1)):
            self.assertEqual(len(list(house.check_length({"wire._c": Module("wire._c", "int x;\n" * lines)}))), found)

    def test_wrong_circle(self) -> None:
        """A circle is seen over several modules, in functions and under TYPE_CHECKING; what only leads to it is not."""
        late = "def f():\n    from morphnet.net import c\n"
        hidden = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from morphnet.net import a\n"
        circle = (Module("net.a", "from morphnet.net import b"), Module("net.b", late), Module("net.c", hidden))
        ends = Module("net.start", "from morphnet.net import a"), Module("net.end", "")
        (complaint,) = house.check_circles(_modules(*circle, *ends))
        self.assertEqual(complaint, "in a circle, or between two: net.a, net.b, net.c")
        straight = Module("net.b", "from morphnet.net import end")
        self.assertEqual(list(house.check_circles(_modules(circle[0], straight, circle[2], *ends))), [])

    def test_wrong_class(self) -> None:
        """One line or one attribute too much is too much; what is only read, or another's, does not count."""
        long = "class A:\n" + "    x = 1\n" * house.CLASS_LINES
        wide = "class A:\n    def f(self):\n" + "".join(f"        self.a{n} = 1\n" for n in range(house.ATTRIBUTES + 1))
        self._complains(house.check_classes, "net.bad", [long, wide])
        other = "class A:\n    def f(self, b):\n" + "".join(f"        b.a{n} = self.b{n}\n" for n in range(30))
        self._content(house.check_classes, "net.good", other)

    def test_untested(self) -> None:
        """A module without a test of its name is seen; packages and the lab need none."""
        modules = {name: Module(name, "") for name in ("errors", "net.a", "net.b", "lab.box")}
        modules["net"] = Module("net", "", package=True)
        tests = {name: Module(name, "") for name in ("tests.test_errors", "tests.net.test_a")}
        self.assertEqual(list(house.check_tested(modules, tests)), ["net.b: no tests.net.test_b"])

    def test_wrong_names(self) -> None:
        """Vague classes and modules are seen."""
        self._complains(house.check_names, "net.bad", ["class PathManager: ..."])
        self._complains(house.check_names, "net.utils", [""])

    def test_wrong_swallowing(self) -> None:
        """A bare exception is seen, raised or swallowed."""
        sources = ("try: ...\nexcept Exception: pass", "try: ...\nexcept: pass", "raise Exception('x')")
        self._complains(house.check_swallowing, "net.bad", sources)
