"""Files in which something is found do not appear."""

from __future__ import annotations

import os
import time
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.clamd import ScannerAway
from morphnet.roles.upload import scanning
from morphnet.roles.upload.scanning import ASIDE, Aside, Scanning
from tests.clamav import BAD, NAME, WITHOUT, ClamDaemon
from tests.fakes_upload import Line, Service, slot
from tests.upload_nodes import UploadNode

DATA = bytes(range(100))
TUS = {"Tus-Resumable": "1.0.0"}
BODY = {**TUS, "Content-Type": "application/offset+octet-stream"}


class ScanningTests(SynchronousTestCase):
    """With a scanner of one's own."""

    def setUp(self) -> None:
        self.service, self.said, self.told = Service(self.mktemp()), "", list[str]()
        self.scans(required=True)

    def scans(self, *, required: bool, aside: Aside = ASIDE) -> None:
        """From now on."""

        async def scan(file: int) -> str:
            if self.said == "away":
                raise ScannerAway("it is away")
            return self.said

        shelf = self.service.shelf
        tell = lambda user, text: self.told.append(text)  # noqa: E731
        shelf.scanning = Scanning(scan, shelf.vault, shelf.counts, tell, required=required, aside=aside)

    def test_found(self) -> None:
        """It is put aside, its uploader is told what was found, and nobody else gets it; others are not concerned."""
        self.said = "Bad\nThing"
        answer = self.service.ask("PUT", slot("s/a", 100), {}, DATA)
        self.assertEqual((answer.status, b"in it" in answer.body), (422, True))
        self.assertNotIn(b"Bad\nThing", answer.body)
        self.said = ""
        for verb, target, status in (("PUT", slot("s/a", 100), 422), ("GET", "/up/s/a", 410), ("HEAD", "/up/s/a", 410)):
            self.assertEqual(self.service.ask(verb, target, {}, DATA if verb == "PUT" else b"").status, status)
        self.assertEqual(self.service.ask("PUT", slot("s/b", 100), {}, DATA).status, 201)
        aside = self.service.vault._aside / self.service.vault.name("s/a")
        self.assertEqual((aside.read_bytes(), self.service.shelf.counts["uploads_infected"]), (DATA, 1))
        self.assertEqual(len(self.told), 1)

    def test_parts(self) -> None:
        """Parts are not looked at, and none is put aside: the file is that they become."""
        self.said = "Bad.Thing"
        target = slot("s/a", 100) + "&size=100"
        for _ in range(3):
            told = {**TUS, "Upload-Concat": "partial", "Upload-Length": "100"}
            where = self.service.ask("POST", target, told).headers["location"]
            self.assertEqual(self.service.ask("PATCH", where, {**BODY, "Upload-Offset": "0"}, DATA).status, 204)
            self.assertEqual(self.service.ask("DELETE", where, TUS).status, 204)
        self.assertEqual(self.aside(), [])
        where = self.service.ask("POST", target, told).headers["location"]
        self.service.ask("PATCH", where, {**BODY, "Upload-Offset": "0"}, DATA)
        joined = self.service.ask("POST", target, {**TUS, "Upload-Concat": f"final;{where}"})
        self.assertEqual((joined.status, self.aside(), self.service.stored("s/a")), (422, [DATA], None))

    def test_aside_limits(self) -> None:
        """Of what is put aside so many bytes stay at most twice, in the end once, and that for so long."""
        self.said = "Bad.Thing"
        self.scans(required=True, aside=Aside(1000.0, 250))
        for number in range(9):
            self.service.ask("PUT", slot(f"s/{number}", 100), {}, DATA)
            self.assertLessEqual(len(self.aside()), 5)
        for more, files in ((500.0, 2), (1500.0, 0)):
            self.service.now = time.time() + more
            self.successResultOf(Deferred.fromCoroutine(self.service.shelf.sweep(3600.0, 0.0)))
            self.assertEqual(len(self.aside()), files)

    def aside(self) -> list[bytes]:
        """What was put aside."""
        return [each.read_bytes() for each in self.service.vault._aside.iterdir() if not each.suffix]

    def test_found_by_other_ways(self) -> None:
        """The last byte comes by tus or by the draft."""
        self.said = "Bad.Thing"
        self.service.ask("POST", slot("s/a", 100), {**TUS, "Upload-Length": "100"})
        headers = {**BODY, "Upload-Offset": "0"}
        self.assertEqual(self.service.ask("PATCH", slot("s/a", 100), headers, DATA).status, 422)
        headers = {"Upload-Complete": "?1", "Upload-Draft-Interop-Version": "6"}
        self.assertEqual(self.service.ask("PUT", slot("s/b", 100), headers, DATA).status, 422)

    def test_away(self) -> None:
        """While nobody looks the bytes wait; the next request has them looked at, also one that asks for the offset."""
        self.said = "away"
        self.assertEqual(self.service.ask("PUT", slot("s/a", 100), {}, DATA).status, 503)
        self.assertEqual(self.service.ask("HEAD", slot("s/a", 100), TUS).status, 503)
        self.assertIsNone(self.service.stored("s/a"))
        self.said = ""
        self.assertEqual(self.service.ask("HEAD", slot("s/a", 100), TUS).headers["upload-offset"], "100")
        self.assertEqual(self.service.stored("s/a"), DATA)

    def test_not_required(self) -> None:
        """Where nobody has to look, files appear while nobody does, and it is told."""
        self.scans(required=False)
        self.said = "away"
        self.assertEqual(self.service.ask("PUT", slot("s/a", 100), {}, DATA).status, 201)
        self.assertEqual((len(self.told), self.service.shelf.counts["uploads_not_scanned"]), (1, 1))


class SlowScannerTests(SynchronousTestCase):
    """With one that says something when the test does."""

    def setUp(self) -> None:
        self.service, self.files = Service(self.mktemp()), list[int]()
        self.saying = list[Deferred[str]]()

        async def scan(file: int) -> str:
            self.files.append(file)
            self.saying.append(Deferred())
            return await self.saying[-1]

        shelf = self.service.shelf
        shelf.scanning = Scanning(scan, shelf.vault, shelf.counts, lambda user, text: None, required=True)
        self.descriptors = len(os.listdir("/proc/self/fd"))

    def head(self, path: str = "s/a") -> Line:
        line = Line(self.service)
        line.begin("HEAD", slot(path, 100), TUS)
        return line

    def test_asked_again(self) -> None:
        """Who asks again while it is looked at waits for the same look, and gets its file; it takes one descriptor."""
        self.service.begun_put(slot("s/a", 100), 100, DATA)
        heads = [self.head() for _ in range(100)]
        self.assertEqual(len(self.saying), 1)
        open_now = len(os.listdir("/proc/self/fd"))
        self.saying[0].callback("")
        self.assertEqual([line.answers(head=True)[-1].status for line in heads], [503] * 99 + [200])
        self.assertEqual((self.service.stored("s/a"), len(os.listdir("/proc/self/fd"))), (DATA, self.descriptors))
        self.assertEqual(open_now - self.descriptors, 2)

    def test_other_content(self) -> None:
        """What is said of one content holds for no other, though that is as long and came at the same moment."""
        self.service.begun_put(slot("s/a", 100), 100, DATA)
        before = os.fstat(self.files[0]).st_mtime_ns + 1
        partial = self.service.vault.partial("s/a")
        partial.cut_to(0)
        partial.append(DATA[::-1])
        os.utime(partial.path, ns=(before, before))  # within the same tick
        partial.close()
        self.assertEqual(self.service.ask("PUT", slot("s/a", 100), {}, DATA[::-1]).status, 503)
        self.saying[0].callback("")
        self.assertIsNone(self.service.stored("s/a"))
        line = self.head()
        self.saying[1].callback("Bad.Thing")
        self.assertEqual((line.answers(head=True)[-1].status, self.service.stored("s/a")), (422, None))

    def test_late(self) -> None:
        """What was found after the turn had ended takes nothing from who goes on."""
        self.service.begun_put(slot("s/a", 100), 100, DATA)
        self.service.ask("DELETE", slot("s/a", 100), {"Upload-Length": "100"})
        self.service.cut_put(slot("s/a", 100), {}, 100, DATA[:50])
        self.saying[0].callback("Bad.Thing")
        self.assertEqual(self.service.vault.length("s/a"), 50)
        self.assertIsNone(self.service.vault.put_aside_for("s/a"))

    def test_many(self) -> None:
        """So many files are looked at at a time; for others one comes again."""
        self.patch(scanning, "MOST_LOOKS", 2)
        lines = [self.service.begun_put(slot(f"s/{number}", 100), 100, DATA) for number in range(3)]
        self.assertEqual(([each.status for each in lines[2].answers()], len(self.saying)), ([503], 2))
        self.saying[0].callback("")
        line = self.head("s/2")
        self.saying[2].callback("")
        self.assertEqual((line.answers(head=True)[-1].status, self.service.stored("s/2")), (200, DATA))


class ClamAVTests(SynchronousTestCase):
    """With a real clamd, and a real server."""

    skip = WITHOUT
    timeout = 120

    def test_story(self) -> None:
        """What it knows is put aside, what it does not know appears; when it is away uploads wait, and then appear."""
        daemon = ClamDaemon()
        self.addCleanup(daemon.end)
        daemon.start()
        node = UploadNode(f'[scan]\nclamd = "{daemon.socket}"')
        self.addCleanup(node.end)
        node.start()
        bad, good = b"x" * 100_000 + BAD, b"x" * 100_000 + BAD[1:]
        status, _, said = node.ask("PUT", node.slot("s/bad", len(bad)), {}, bad)
        self.assertEqual((status, NAME.encode() in said), (422, True), said)
        self.assertEqual(node.ask("PUT", node.slot("s/good", len(good)), {}, good)[0], 201)
        self.assertEqual([node.ask("GET", f"/upload/s/{each}")[0] for each in ("bad", "good")], [410, 200])
        aside = [each for each in Path(node.directory, "state", "files", "aside").iterdir() if not each.suffix]
        self.assertEqual([each.read_bytes() for each in aside], [bad])
        daemon.stop()
        self.assertEqual(node.ask("PUT", node.slot("s/late", len(good)), {}, good)[0], 503)
        self.assertEqual(node.ask("GET", "/upload/s/late")[0], 404)
        daemon.start()
        self.assertEqual(node.ask("PUT", node.slot("s/late", len(good)), {}, good)[0], 201)
        self.assertEqual((node.counter("uploads_infected"), node.counter("uploads_not_scanned")), (1, 1))
