"""What nobody sends who means well: each has its status, and nothing of it stays."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

from twisted.trial.unittest import SynchronousTestCase

from morphnet.wire.messages.upload.slots import jwt
from tests import upload_floods
from tests.fakes_upload import NOW, SECRET, Line, Service, slot
from tests.upload_nodes import UploadNode

MANY = 6_000_000  # bytes of each; bench_upload has a GB of them
ROOM = 12_000_000  # bytes by which memory may have grown: buffers of sockets, and what an allocator keeps


class HeaderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.service = Service(self.mktemp())

    def raw(self, request: bytes) -> list[int]:
        line = Line(self.service)
        line.send(request)
        self.service.clock.advance(3.0)
        return [each.status for each in line.answers()]

    def test_newlines(self) -> None:
        """A line that ends within a name, a type, a token or an address is refused, and is no header of an answer."""
        kind = base64.b64encode(b"text/html\r\nSet-Cookie: a=b").decode()
        tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "3", "Upload-Metadata": f"filetype {kind}"}
        self.assertEqual(self.service.ask("POST", slot("s/a", 3), tus).status, 400)
        target = slot("s/a\r\nSet-Cookie: a=b", 3).replace("\r\n", "%0d%0a").replace(" ", "%20")
        self.assertEqual(self.service.ask("PUT", target, {}, b"abc").status, 400)
        for bad, status in (("a\nb", 400), ("a\r\nb", 400), ("a\0b", 404)):
            claims = {"exp": NOW + 300, "slot": "s", "filename": bad, "filesize": 3}
            token = {"Authorization": f"Bearer {jwt(SECRET, claims)}"}
            self.assertEqual(self.service.ask("PUT", f"/up/s/{quote(bad)}", token, b"abc").status, status)
        self.assertEqual((self.service.uploads._records, list(self.service.vault._partial.iterdir())), ({}, []))

    def test_raw(self) -> None:
        """What is no HTTP is 400; of a header that goes on in the next line the whole is one value."""
        put = slot("s/a", 3).encode()
        for request in (
            b"PUT " + put + b"\nX: y HTTP/1.1\r\n\r\n",
            b"PUT " + put + b" HTTP/1.1\r\nno colon\r\n\r\n",
            b"PUT " + put + b" HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
            b"PUT " + put + b" HTTP/1.1\r\nContent-Length: -3\r\n\r\nabc",
            b"PUT "
            + put
            + b" HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            b"PUT " + put + b" HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        ):
            self.assertEqual(self.raw(request), [400], request)
        self.assertIsNone(self.service.stored("s/a"))
        self.assertEqual(self.raw(b"PUT " + put + b" HTTP/1.1\r\nX: a\r\n  b\r\nContent-Length: 3\r\n\r\nabc"), [201])


class FloodTests(SynchronousTestCase):
    timeout = 120

    def setUp(self) -> None:
        self.node = UploadNode()
        self.addCleanup(self.node.end)
        self.node.start()

    def test_floods(self) -> None:
        """Endless heads, chunks, trailers and bodies have their status, and memory stays; forged slots too."""
        self.assertEqual(upload_floods.forged(self.node, 300), {401, 403})
        before = upload_floods.memory(self.node)
        for pieces, status in upload_floods.FLOODS:
            found, sent = upload_floods.flood(self.node, pieces(MANY))
            self.assertEqual(found, status, pieces.__name__)
            if status != 201:
                self.assertLess(sent, MANY, pieces.__name__)
        self.assertEqual(upload_floods.forged(self.node, 10_000), {401, 403})
        self.assertLess(upload_floods.memory(self.node) - before, ROOM)
        self.assertEqual(self.node.counter("uploads_complete"), 2)
        partial = [each.stat().st_size for each in (self.node.directory / "state/files/partial").iterdir()]
        self.assertLessEqual(sum(partial), 1 + 1000)  # what came before a mistake may go on


class Ipv6Tests(SynchronousTestCase):
    timeout = 60

    def test_story(self) -> None:
        """It listens, links and hears of clients by IPv6 as by IPv4."""
        file, held = Path(self.mktemp()).resolve(), Path(self.mktemp()).resolve()
        file.write_bytes(b"x" * 1000)
        held.write_text("bob " + "ab" * 32)
        held.chmod(0o600)
        node = UploadNode(f'tokens_file = "{held}"', "::1")
        self.addCleanup(node.end)
        node.start()
        base = f"http://[::1]:{node.port}/upload/"
        words = [sys.executable, "-c", "from morphnet.cli import main; main()", "upload", "--to", base, "--token-file"]
        own = {**os.environ, "XDG_STATE_HOME": str(node.directory)}
        done = subprocess.run([*words, str(held), str(file)], capture_output=True, text=True, env=own, check=False)
        link = done.stdout.strip()
        self.assertTrue(link.startswith(f"{base}~bob/"), done.stderr)
        self.assertEqual(node.ask("GET", f"/upload/{link.removeprefix(base)}")[2], b"x" * 1000)
        target, addresses = node.slot("s/a", 3), ("2001:db8::7", "[2001:db8::8]:4711", "192.0.2.9:80", "2001:db8::9")
        for moves, each in enumerate(addresses[:3]):
            with node.begin("PUT", target, 3, b"a", more=f"X-Forwarded-For: {each}\r\n"):
                while not any(one["stored_bytes"] and one["moves"] == moves for one in node.status()["uploads"]):
                    time.sleep(0.01)
            said = node.ask("HEAD", target, {"Upload-Draft-Interop-Version": "6"})[1]
        node.ask("PUT", target, {"X-Forwarded-For": addresses[3]}, b"abc")
        told = json.loads(node.ask("GET", f"{target}&session_id={said['x-session-id']}")[2])
        seen = [each["client_ip"] for each in told["network_history"]]
        self.assertEqual(seen, ["2001:db8::7", "2001:db8::8", "192.0.2.9", "2001:db8::9"])
