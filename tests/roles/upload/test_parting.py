"""tus's concatenation on the address of a slot."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.upload.parts import MOST
from morphnet.store.base import UploadRecord
from morphnet.wire.messages.upload.slots import jwt
from tests.fakes_upload import NOW, SECRET, Answer, Line, Service, slot

DATA = bytes(range(100))
TUS = {"Tus-Resumable": "1.0.0"}
BODY = {**TUS, "Content-Type": "application/offset+octet-stream"}
CLAIMS = {"sub": "a@x", "slot": "j", "filename": "f", "filesize": 100, "exp": NOW + 300, "expires": NOW + 3600}
TOKEN = {"Authorization": f"Bearer {jwt(SECRET, CLAIMS)}"}


class PartingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.service = Service(self.mktemp(), quota=150)
        self.target, self.token = "/up/j/f", TOKEN

    def ask(self, verb: str, target: str, headers: dict[str, str], body: bytes = b"") -> Answer:
        return self.service.ask(verb, target, {**self.token, **headers}, body)

    def part(self, length: int) -> Answer:
        return self.ask("POST", self.target, {**TUS, "Upload-Concat": "partial", "Upload-Length": str(length)})

    def filled(self, start: int, end: int) -> str:
        """A part that is whole: its address."""
        where = self.part(end - start).headers["location"]
        answer = self.ask("PATCH", where, {**BODY, "Upload-Offset": "0"}, DATA[start:end])
        self.assertEqual((answer.status, answer.headers["upload-concat"]), (204, "partial"))
        return where

    def join(self, *addresses: str) -> Answer:
        return self.ask("POST", self.target, {**TUS, "Upload-Concat": f"final;{' '.join(addresses)}"})

    def leftovers(self) -> list[str]:
        """Records of parts."""
        return [each for each in self.service.uploads._records if "\0" in each]

    def test_story(self) -> None:
        """Two parts, one of them cut, become one file in the order that is asked for; nothing is left."""
        second = self.filled(60, 100)
        first = self.part(60).headers["location"]
        self.assertNotEqual(first, second)
        headers = {**self.token, **BODY, "Upload-Offset": "0"}
        self.service.cut_put(first, headers, 60, DATA[:20], "PATCH")
        told = self.ask("HEAD", first, TUS).headers
        self.assertEqual([told[f"upload-{each}"] for each in ("offset", "length", "concat")], ["20", "60", "partial"])
        self.assertEqual(self.join(first, second).status, 409)
        self.assertEqual(self.ask("PATCH", first, {**BODY, "Upload-Offset": "20"}, DATA[20:60]).status, 204)
        self.assertIsNone(self.service.stored("j/f"))
        done = self.join(f"https://example.org{first}", second)
        self.assertEqual((done.status, done.headers["location"]), (201, "/up/j/f"))
        self.assertEqual((self.service.stored("j/f"), self.leftovers()), (DATA, []))
        self.assertEqual(self.join(first, second).status, 201)  # its answer was lost
        self.assertEqual(self.part(1).status, 409)

    def test_size_is_told(self) -> None:
        """A slot whose signature covers a size that it does not tell: the client says it."""
        self.token, self.target = {}, slot("s/a", 100)
        self.assertEqual(self.part(50).status, 411)
        self.target += "&size=99"
        self.assertEqual(self.part(50).status, 403)
        self.target = slot("s/a", 100) + "&size=100"
        self.assertEqual(self.join(self.filled(0, 50), self.filled(50, 100)).status, 201)
        self.assertEqual(self.service.stored("s/a"), DATA)

    def test_refused(self) -> None:
        """More bytes than the slot's, parts of another file, parts that are none, and no slot at all."""
        first = self.filled(0, 60)
        self.assertEqual(self.part(41).status, 413)
        self.assertEqual(self.join(first).status, 413)
        second = self.filled(60, 100)
        for target, status in (
            (second.replace("part=1", "part=7"), 404),
            (second.replace("part=1", "part=x"), 404),
            (second.replace("/j/f", "/j/g"), 400),
        ):
            self.assertEqual(self.join(first, target).status, status, target)
        self.assertEqual(self.ask("HEAD", f"{self.target}?part={MOST}", TUS).status, 404)
        self.assertEqual(self.service.ask("HEAD", first, TUS).status, 401)
        wrong = self.ask("POST", self.target, {**TUS, "Upload-Concat": "some"})
        self.assertEqual(wrong.status, 400)

    def test_limits(self) -> None:
        """There are so many parts and no more; one that is ended makes room; the file counts once for its user."""
        wheres = [self.part(0 if number else 1).headers["location"] for number in range(MOST)]
        self.assertEqual(self.part(0).status, 413)
        self.assertEqual(self.ask("DELETE", wheres[1], TUS).status, 204)
        self.assertEqual(self.part(0).headers["location"], wheres[1])
        self.assertEqual(self.successResultOf(self.service.uploads.used("a@x")), 100)

    def test_sum(self) -> None:
        """The sum is of all parts, those behind a gap too, and of those that begin at the same moment."""
        wheres = [self.filled(each, each + 1) for each in range(MOST - 2)]
        self.filled(63, 100)
        wheres.append(self.part(1).headers["location"])
        self.assertEqual(self.ask("DELETE", wheres[-1], TUS).status, 204)
        self.assertEqual([self.part(each).status for each in (38, 2, 1)], [413, 413, 201])
        self.assertEqual(sum(self.service.uploads._records[each].size for each in self.leftovers()), 100)

    def test_lost_answer(self) -> None:
        """A part whose client does not know it makes room for that one's next try, at an address of its own."""
        first, lost = self.filled(0, 60), self.part(40).headers["location"]
        second = self.part(40).headers["location"]
        self.assertEqual(len({first, lost, second}), 3)
        self.assertEqual(self.ask("HEAD", lost, TUS).status, 404)
        line = Line(self.service)
        line.begin("PATCH", second, {**self.token, **BODY, "Upload-Offset": "0", "Content-Length": "40"}, DATA[60:70])
        self.assertEqual([self.part(each).status for each in (40, 41)], [413, 413])  # somebody writes to it
        line.send(DATA[70:])
        self.assertEqual([each.status for each in line.answers()], [204])
        self.assertEqual((self.part(41).status, self.join(first, second).status), (413, 201))
        self.assertEqual((self.service.stored("j/f"), self.leftovers()), (DATA, []))

    def test_lost_answer_to_all(self) -> None:
        """The same where all bytes came with the beginning: the last one of that length makes room."""
        first = self.filled(60, 100)
        self.service.now += 1
        told = {**BODY, "Upload-Concat": "partial"}
        for length in ("30", "30"):
            lost = self.ask("POST", self.target, {**told, "Upload-Length": length}, DATA[:30]).headers["location"]
            self.service.now += 1
        self.assertEqual(self.ask("POST", self.target, {**told, "Upload-Length": "30"}, DATA[:30]).status, 201)
        self.assertEqual([self.ask("HEAD", each, TUS).status for each in (first, lost)], [200, 404])

    def test_fewest_bytes(self) -> None:
        """Of parts that nobody writes to the one of that length goes, and the one with the fewest bytes of these."""
        wheres = [self.part(each).headers["location"] for each in (20, 40, 40)]
        headers = {**self.token, **BODY, "Upload-Offset": "0"}
        self.service.cut_put(wheres[1], headers, 40, DATA[:5], "PATCH")
        self.service.cut_put(wheres[2], headers, 40, DATA[:4], "PATCH")
        self.assertEqual(self.part(40).status, 201)
        self.assertEqual([self.ask("HEAD", each, TUS).status for each in wheres], [200, 200, 404])

    def test_same_moment(self) -> None:
        """Of two that are too many together neither stays, though each has seen room for itself."""
        stale = self.successResultOf(self.service.uploads.find("none"))
        first = self.part(0).headers["location"]
        self.assertEqual((self.part(60).status, self.ask("DELETE", first, TUS).status), (201, 204))
        real, seen = self.service.uploads.find, list[str]()

        def find(path: str) -> Deferred[UploadRecord | None]:
            seen.append(path)
            return succeed(stale) if path == "j/f\0001" and seen.count(path) == 1 else real(path)

        self.patch(self.service.uploads, "find", find)
        self.assertEqual((self.part(41).status, len(self.leftovers())), (413, 1))
        self.assertEqual(seen.count("j/f\0001"), 2)

    def test_other_length(self) -> None:
        """Parts with fewer bytes than their records say, or more, make no file, and stay."""
        parts = self.filled(0, 60), self.filled(60, 100)
        there = self.service.vault._done / self.service.vault.name("j/f\0001")
        for data in (DATA[60:90], DATA[60:] + b"x"):
            there.write_bytes(data)
            self.assertEqual(self.join(*parts).status, 409)
            self.assertEqual((self.service.stored("j/f"), len(self.leftovers())), (None, 2))

    def test_deleted(self) -> None:
        """With a file that is not whole its parts go."""
        self.filled(0, 60)
        self.part(40)
        self.assertEqual(self.ask("DELETE", self.target, TUS).status, 204)
        self.assertEqual((self.leftovers(), self.service.vault.open("j/f\0000")), ([], None))

    def test_sweep(self) -> None:
        """Parts that nobody puts together go in time, whole ones too, though whole files stay."""
        self.filled(0, 60)
        self.service.now += 4000
        self.sweep()
        self.assertEqual(self.leftovers(), [])

    def test_slow(self) -> None:
        """All parts stay, and the file's record, as long as any of the parts is gone on with."""
        first, second, third = self.filled(0, 60), self.part(20).headers["location"], self.filled(80, 100)
        self.service.cut_put(second, {**self.token, **BODY, "Upload-Offset": "0"}, 20, DATA[60:70], "PATCH")
        self.service.now = self.service.vault.touched("j/f\0001") + 3500
        self.sweep()
        self.assertEqual(self.service.shelf.counts["uploads_expired"], 0)
        self.token = {"Authorization": f"Bearer {jwt(SECRET, {**CLAIMS, 'expires': self.service.now + 60})}"}
        self.assertEqual(self.ask("PATCH", second, {**BODY, "Upload-Offset": "10"}, DATA[70:80]).status, 204)
        self.assertEqual(self.join(first, second, third).status, 201)
        self.assertEqual(self.service.stored("j/f"), DATA)

    def test_last_sign(self) -> None:
        """A part that has just begun is a sign, and one that has just become whole; then all goes at once."""
        self.filled(0, 60)
        for number in range(2):
            self.service.now += 3500
            self.sweep()
            self.assertEqual(len(self.leftovers()), 1 + number)
            self.part(20)
        self.service.now += 7500
        self.sweep()
        self.assertEqual((self.leftovers(), list(self.service.uploads._records)), ([], []))

    def sweep(self) -> None:
        """Look for what is over."""
        self.successResultOf(Deferred.fromCoroutine(self.service.shelf.sweep(3600.0, 0.0)))
