"""
What a process of each kind does not load: each of these was loaded once without being used, and some cost 10 MB.

Each is started in a process of its own, as far as that goes without root, and tells what it has loaded.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import mkdtemp

from twisted.trial.unittest import SynchronousTestCase

from morphnet.pki.files import CA, write_certificate, write_key
from tests.fakes_pki import a_key, an_authority

# Its first word is whether to start it.
TOLD = """\
import os, sys
from morphnet.tap.lean import prepare
prepare(digests="morph-client" in sys.argv)
from importlib import import_module
from twisted.scripts import twistd
from twisted.internet import reactor

def tell():
    print(*sys.modules, flush=True)
    os._exit(0)

tap = import_module("morphnet.tap." + sys.argv[2].removeprefix("morph-"))
options = tap.Options()
options.parseOptions(sys.argv[3:])
service = tap.makeService(options)
if sys.argv[1] == "start":
    service.startService()
    reactor.callLater(0.2, tell)
    reactor.run()
tell()
"""
# Of nobody: SSH before somebody connects, netlink with a database and a test suite in it.
NOBODY = {"twisted.conch", "morphnet.ops.ssh", "morphnet.ops.shell", "pyroute2", "bdb"}
NOBODY |= {"difflib"}  # before somebody has made a mistake
NOBODY |= {"unittest", "multiprocessing", "rich", "morphnet.lab", "morphnet.cli"}
# Of who speaks no WebSocket: Autobahn, with the parser of a C compiler, the options of another command, and an event
# loop beside Twisted's.
WEBSOCKETS = {"autobahn", "txaio", "click", "cffi", "pycparser", "cbor2", "morphnet.net.websocket"}
WEBSOCKETS |= {"asyncio.base_events"}
PEERS = {"morphnet.roles.peers.mesh", "morphnet.traversal", "morphnet.rendezvous.portmapping", "morphnet.net.pcp"}
PEERS |= {"morphnet.roles.signalling.relay_client"}
LAYER2 = {"morphnet.net.tapdevice", "morphnet.roles.peers.ethernet", "morphnet.tunnel.switch"}
BALANCE = {"morphnet.roles.balance", "morphnet.host.balance"}
LEGACY = {"morphnet.legacy", "morphnet.roles.client.legacy"}
TUNNEL = {"morphnet.roles.client.process", "morphnet.roles.client.node"}
NAMES = {"twisted.names", "morphnet.net.nameserver", "morphnet.net.upstream"}  # before there is one to look up
WEB = {"twisted.web", "http.client", "urllib.request"}
SECOND_OPENSSL = {"_ssl", "_hashlib", "ssl"}
DATABASES = {"sqlite3", "txredisapi"}


def role(name: str) -> set[str]:
    """All that belongs to a role, in whatever package."""
    return {f"morphnet.roles.{name}", f"morphnet.tap.{name}", f"morphnet.store.{name}s"}


SERVER = ('server = "127.0.0.1:1"', 'server_name = "gw"')
NAME = 'name = "gw"'
HOME = role("home") | role("coordinator") | role("upload") | {"segno", "puremagic", "acme", "aiortc", "treq"}
CLIENT = NOBODY | LAYER2 | HOME | role("server") | role("relay") | WEB | SECOND_OPENSSL | DATABASES


class LoadedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.place = Path(mkdtemp())  # short: the path of a socket has 107 bytes
        self.addCleanup(shutil.rmtree, self.place)
        self.dirs = [f"--{each}-dir={self.place}" for each in ("pki", "state", "run")]

    def join(self) -> None:
        """Have keys, as a client."""
        authority, key = an_authority(now=time.time()), a_key(9)
        write_key(self.place, "anna", key)
        write_certificate(self.place, "anna", authority.client(key.public_key(), "anna", now=time.time()))
        write_certificate(self.place, CA, authority.certificate)

    def loaded(self, what: str, role: str, *lines: str) -> set[str]:
        """The modules that a role with these settings has loaded when it was made, or started."""
        file = self.place / "settings.toml"
        file.write_text("\n".join(lines))
        command = [sys.executable, "-c", TOLD, what, role, f"--config={file}", *self.dirs]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return set(done.stdout.split())

    def none_of(self, unwanted: set[str], loaded: set[str]) -> None:
        """Nor anything below."""
        self.assertEqual(
            {name for name in loaded if any(name == each or name.startswith(f"{each}.") for each in unwanted)}, set()
        )

    def test_client(self) -> None:
        """With a server, and UDP that passes: started, and calling it."""
        self.join()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            carry = f'carry = ["127.0.0.1:{free.getsockname()[1]}=x"]'
        loaded = self.loaded("start", "morph-client", *SERVER, 'name = "anna"', 'tun = ""', carry)
        self.assertLess({"morphnet.ops.manhole", "morphnet.net.pump", "morphnet.roles.signalling.ways"}, loaded)
        self.none_of(CLIENT | WEBSOCKETS | PEERS | BALANCE | LEGACY | NAMES, loaded)

    def test_peers(self) -> None:
        """What peers need comes when it is made; nothing of it before."""
        self.none_of(CLIENT | BALANCE | LEGACY, self.loaded("make", "morph-client", "[mesh]\nrelays = ['one.example']"))

    def test_balance(self) -> None:
        """No server, no tunnel."""
        self.none_of(
            CLIENT | WEBSOCKETS | PEERS | LEGACY | TUNNEL, self.loaded("make", "morph-client", 'mode = "balance"')
        )

    def test_legacy(self) -> None:
        """Of an original server: no tunnel of ours."""
        loaded = self.loaded("make", "morph-client", 'legacy = "192.0.2.1:12301:anna"')
        self.none_of(CLIENT | WEBSOCKETS | PEERS | BALANCE | TUNNEL, loaded)

    def test_server(self) -> None:
        """Nothing of clients, homes and uploads."""
        self.none_of(NOBODY | LAYER2 | HOME | role("client") | role("relay"), self.loaded("make", "morph-server", NAME))

    def test_relay(self) -> None:
        """Nothing of clients, servers, homes and uploads."""
        self.none_of(NOBODY | LAYER2 | HOME | role("client") | role("server"), self.loaded("make", "morph-relay", NAME))


class CommandTests(SynchronousTestCase):
    def test_commands(self) -> None:
        """Our roles are there, and those of nobody else, though Twisted comes with some."""
        words = [sys.executable, "-P", "-m", "morphnet.tap.twistd", "--help"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        commands = re.findall(r"^ {4}([a-z][a-z-]*) ", done.stdout, re.MULTILINE)
        self.assertEqual(commands, ["morph-client", "morph-coordinator", "morph-home", "morph-relay", "morph-server",
                                    "morph-upload"])  # fmt: skip

    def test_refused(self) -> None:
        """What is wrong is one sentence, and a code of its own."""
        words = [sys.executable, "-P", "-m", "morphnet.tap.twistd", "-n", "morph-client", "--config", "/nowhere.toml"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (os.EX_CONFIG, ""))
        self.assertEqual(done.stderr, "morphnet: /nowhere.toml: no such file or directory\n")
