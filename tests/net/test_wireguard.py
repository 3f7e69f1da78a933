"""The child that is WireGuard: a program that talks at a unix socket as wireguard-go does, and real processes."""

from __future__ import annotations

import base64
import os
import signal
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from morphnet.errors import HostError
from morphnet.net.wireguard import PROGRAM, WireGuardGo, ask
from morphnet.wire.wireguard import GET, Changes, Peer, Seen, Told

ONE, TWO = (base64.b64encode(bytes([number] * 32)).decode() for number in (0x11, 0x22))
PHONE = Peer(TWO, ONE, ("10.73.0.5/32",))

# Knows one setting of each kind, and a word to end by.
PROGRAM_TEXT = """#!{python}
import os, socket, sys, time
here = os.path.dirname(os.path.abspath(__file__))
if os.path.exists(os.path.join(here, "fails")):
    print("DEBUG: (morphwg0) 2026/11/30 12:00:00 nothing", flush=True)
    print("ERROR: (morphwg0) 2026/11/30 12:00:00 no TUN here", flush=True)
    print("ERROR: (morphwg0) 2026/11/30 12:00:00 peer(luUq) - Failed to send", flush=True)
    sys.exit(7)
door = socket.socket(socket.AF_UNIX)
os.chdir(here)
door.bind("sock")
door.listen()
state = []
while True:
    link, _ = door.accept()
    asked = b""
    while not asked.endswith(b"\\n\\n"):
        asked += link.recv(65536)
    lines = asked.decode().split()
    if lines[0] == "set=1":
        state = [each for each in lines[1:] if not each.startswith("replace")]
        lines = []
    if "listen_port=1" in state:
        lines, state = ["errno=-98"], []
    elif "listen_port=2" in state:
        time.sleep(60)
    else:
        lines = [*(state if lines else ()), "errno=0"]
    for each in lines:
        link.sendall(each.encode() + b"\\n")
        time.sleep(0.001)
    link.sendall(b"\\n")
    link.close()
"""


class WireGuardGoTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        self.dir = Path(self.mktemp())
        self.dir.mkdir()
        program = self.dir / PROGRAM
        program.write_text(PROGRAM_TEXT.format(python=sys.executable))
        program.chmod(0o755)
        self.socket = os.path.relpath(self.dir / "sock")  # a path of trial's may be longer than a socket's
        self.patch(os, "environ", {**os.environ, "PATH": f"{self.dir.absolute()}:{os.environ.get('PATH', '')}"})
        self.how: Deferred[str] = Deferred()

    def begin(self) -> WireGuardGo:
        child = WireGuardGo(reactor, "morphwg0", self.socket, self.how.callback)
        self.addCleanup(child.stop)
        return child

    async def test_told(self) -> None:
        """It is waited for; then it is what it was told to be."""
        child = self.begin()
        self.assertEqual(await child.told(), Told())
        await child.change(Changes(ONE, 51820, (), (PHONE,)))
        self.assertEqual(await child.told(), Told(ONE, 51820, (Seen(PHONE),)))
        await child.stop()
        self.assertFalse(self.how.called)
        self.assertEqual(child.pid, 0)

    async def test_killed(self) -> None:
        """Its end is told, and by what."""
        child = self.begin()
        await child.told()
        os.kill(child.pid, signal.SIGKILL)
        self.assertEqual(await self.how, "wireguard-go was ended by signal 9")
        with self.assertRaises(HostError):
            await child.told()
        await child.stop()

    async def test_fails(self) -> None:
        """One that cannot begin says why."""
        (self.dir / "fails").touch()
        child = self.begin()
        with self.assertRaises(HostError):
            await child.told()
        self.assertEqual(await self.how, "wireguard-go has ended with code 7: no TUN here")

    async def test_refuses(self) -> None:
        """What it refuses is a sentence."""
        child = self.begin()
        await child.told()
        with self.assertRaises(HostError) as refused:
            await child.change(Changes(port=1))
        self.assertIn("UDP port, which another program has", str(refused.exception))

    async def test_silent(self) -> None:
        """One that does not answer is not waited for, and can be ended all the same."""
        child = self.begin()
        await child.told()
        self.patch(sys.modules["morphnet.net.wireguard"], "ANSWERS_WITHIN", 0.1)
        with self.assertRaises(HostError):
            await child.change(Changes(port=2))
        os.kill(child.pid, signal.SIGSTOP)
        await child.stop()

    async def test_nobody(self) -> None:
        """Where there is no socket, nobody answers."""
        with self.assertRaises(HostError):
            await ask(reactor, self.socket, GET, os.getpid())
        await deferLater(reactor, 0)

    async def test_another(self) -> None:
        """Another program at its socket, as of a server in another network namespace, is told nothing of ours."""
        heard = list[bytes]()

        class Other(Protocol):
            def dataReceived(self, data: bytes) -> None:
                heard.append(data)

        door = Factory.forProtocol(Other)
        port = await UNIXServerEndpoint(reactor, self.socket).listen(door)
        with self.assertRaises(HostError):
            await ask(reactor, self.socket, GET, os.getppid())
        child = self.begin()  # cannot have the socket
        with self.assertRaises(HostError):
            await child.told()
        self.assertIn("has ended with code 1", await self.how)
        await port.stopListening()
        self.assertEqual(heard, [])

    def test_no_program(self) -> None:
        """Without the program the operator is told which to install."""
        self.patch(os, "environ", {"PATH": "/nowhere"})
        self.assertIn("apt-get install wireguard-go", str(self.assertRaises(HostError, self.begin)))
