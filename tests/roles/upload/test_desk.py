"""Slots at the desk: plain PUT, and what is refused."""

from __future__ import annotations

import hmac

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from morphnet.wire.messages.upload.slots import jwt
from tests.fakes_upload import NOW, SECRET, TOKEN, Line, Service, bearer, slot, slot2

DATA = bytes(range(100))


class DeskTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.service = Service(self.mktemp())

    def test_put(self) -> None:
        """A file is put once; then its address gives it to everybody, and takes no other."""
        self.assertEqual(self.service.ask("PUT", slot("s/a.bin", 100), {}, DATA).status, 201)
        self.assertEqual(self.service.ask("GET", "/up/s/a.bin").body, DATA)
        again = self.service.ask("PUT", slot("s/a.bin", 100), {}, DATA[::-1])
        self.assertEqual((again.status, again.body), (409, b"the file is here already\n"))
        self.assertEqual(self.service.stored("s/a.bin"), DATA)

    def test_cut(self) -> None:
        """A PUT that is cut keeps its bytes; it is repeated from the start until it is whole, and may be cut again."""
        for length in (30, 10, 60):
            self.service.cut_put(slot("s/a", 100), {}, 100, DATA[:length])
            self.assertEqual(self.service.vault.length("s/a"), max(30, length))
        self.assertIsNone(self.service.stored("s/a"))
        self.assertEqual(self.service.ask("GET", "/up/s/a").status, 404)
        self.assertEqual(self.service.ask("PUT", slot("s/a", 100), {}, DATA).status, 201)
        self.assertEqual((self.service.stored("s/a"), self.service.shelf.counts["uploaded_bytes"]), (DATA, 100))

    def test_other_content(self) -> None:
        """A cut PUT may begin anew with other bytes, unless somebody was told how many are there."""
        self.service.cut_put(slot("s/a", 100), {}, 100, DATA[:30])
        self.service.cut_put(slot("s/a", 100), {}, 100, DATA[:5] + DATA[10:20])
        self.assertEqual(self.service.vault.length("s/a"), 15)
        self.assertEqual(self.service.ask("HEAD", slot("s/a", 100)).headers["upload-offset"], "15")
        self.assertEqual(self.service.ask("PUT", slot("s/a", 100), {}, DATA).status, 409)
        self.assertEqual(self.service.vault.length("s/a"), 15)

    def test_takes_over(self) -> None:
        """A new request ends the hung one at once, which writes nothing more."""
        hung = Line(self.service)
        hung.begin("PUT", slot("s/a", 100), {"Content-Length": "100"}, DATA[:40])
        self.assertFalse(hung.aborted)
        self.assertEqual(self.service.ask("PUT", slot("s/a", 100), {}, DATA).status, 201)
        self.assertTrue(hung.aborted)
        hung.send(b"x" * 60)
        self.assertEqual(self.service.stored("s/a"), DATA)

    def test_names(self) -> None:
        """Spaces and letters of any alphabet, escaped in either case."""
        path = "s/näme with space.txt"
        query = slot2(path, 100, "text/plain").partition("?")[2]
        target = f"/up/s/n%c3%a4me%20with%20space.txt?{query}"
        self.assertEqual(self.service.ask("PUT", target, {"Content-Type": "text/plain"}, DATA).status, 201)
        got = self.service.ask("GET", "/up/s/n%C3%A4me%20with%20space.txt")
        self.assertEqual((got.status, got.body), (200, DATA))
        self.assertIn("inline; filename*=UTF-8''n%C3%A4me%20with", got.headers["content-disposition"])

    def test_refused(self) -> None:
        """Each refusal has its status, and a sentence; nothing is kept."""
        bearer = {"Authorization": "Bearer " + jwt(SECRET, {"exp": NOW - 1, "slot": "j", "filename": "f",
                  "filesize": 5, "expires": NOW + 99})}  # fmt: skip
        for status, verb, target, headers, body in (
            (401, "PUT", "/up/s/a", {}, DATA),
            (403, "PUT", slot("s/a", 99), {}, DATA),
            (403, "PUT", slot("s/b", 100).replace("/s/b", "/s/a"), {}, DATA),
            (411, "PUT", slot("s/a", 5), {"Transfer-Encoding": "chunked"}, b"0\r\n\r\n"),
            (413, "PUT", slot("s/a", 1001), {}, b"x" * 1001),
            (400, "PUT", slot("s/a", 100), {"Content-Range": "bytes 0-99/100"}, DATA),
            (403, "PUT", slot2("s/a", 100, "image/png"), {"Content-Type": "text/html"}, DATA),
            (410, "PUT", "/up/j/f", bearer, b"12345"),
            (404, "PUT", "/elsewhere", {}, DATA),
            (404, "PUT", "/up/", {}, DATA),
            (405, "BREW", slot("s/a", 100), {}, DATA),
            (400, "PUT", slot("s/a", 100), {"Upload-Length": "x"}, DATA),
        ):
            if "Transfer-Encoding" in headers:
                line = Line(self.service)
                line.send(f"{verb} {target} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + body)
                self.service.clock.advance(3)
                answer = line.answers()[-1]
            else:
                answer = self.service.ask(verb, target, headers, body)
            self.assertEqual(answer.status, status, (verb, target, answer))
            self.assertTrue(answer.body.endswith(b"\n"))
        self.assertIsNone(self.service.stored("s/a"))
        self.assertEqual(self.service.vault.length("s/a"), 0)

    def test_jwt(self) -> None:
        """A slot of mod_http_file_share, in chunks of no told length; no byte more than the token says."""
        claims = {"sub": "a@x", "exp": NOW + 300, "slot": "j", "filename": "f", "filesize": 5, "expires": NOW + 99}
        head = "PUT /up/j/f HTTP/1.1\r\nTransfer-Encoding: chunked\r\nAuthorization: Bearer "
        head += jwt(SECRET, claims) + "\r\n\r\n"
        for body, status in ((b"6\r\n123456\r\n0\r\n\r\n", 413), (b"3\r\n123\r\n0\r\n\r\n", 400),
                             (b"5\r\n12345\r\n0\r\n\r\n", 201)):  # fmt: skip
            line = Line(self.service)
            line.send(head.encode() + body)
            self.service.clock.advance(3)
            self.assertEqual(line.answers()[-1].status, status)
        self.assertEqual(self.service.stored("j/f"), b"12345")

    def test_signed_type(self) -> None:
        """A type that is signed is the file's, whatever its client says when it sends it."""
        claims = {"exp": NOW + 300, "slot": "j", "filename": "f", "filesize": 5, "filetype": "image/png"}
        headers = {"Authorization": f"Bearer {jwt(SECRET, claims)}", "Content-Type": "text/html"}
        self.assertEqual(self.service.ask("PUT", "/up/j/f", headers, b"<html").status, 201)
        self.assertEqual(self.service.ask("GET", "/up/j/f").headers["content-type"], "image/png")

    def test_bearer(self) -> None:
        """A slot of hmac-file-server's modules: cut, gone on with, at one address alone, with no type of its own."""
        until, kind = int(NOW) + 300, {"Content-Type": "text/html"}
        target = bearer("s/a", 100, "a@x", until)
        self.service.cut_put(target, kind, 100, DATA[:40])
        self.assertEqual(self.service.ask("PUT", bearer("other/a", 100, "a@x", until), kind, DATA).status, 403)
        self.service.now += 3600
        self.assertEqual(self.service.ask("HEAD", target, {"Tus-Resumable": "1.0.0"}).headers["upload-offset"], "40")
        self.assertEqual(self.service.ask("PUT", target, kind, DATA).status, 201)
        self.assertEqual(self.service.ask("GET", "/up/s/a").headers["content-type"], "application/octet-stream")
        self.assertEqual(self.service.ask("PUT", target, kind, DATA).status, 409)
        self.assertEqual(self.service.ask("PUT", bearer("s/b", 100, "a@x", until), kind, DATA).status, 410)
        self.service.cut_put(slot("s/b", 100), {}, 100, DATA[:40])
        self.assertEqual(self.service.ask("PUT", bearer("s/b", 100, "a@x", until + 9999), kind, DATA).status, 403)

    def test_bearer_later(self) -> None:
        """It has its one address as long as it is good, however soon uploads are forgotten, and no longer."""
        until = int(NOW) + 86400
        self.assertEqual(self.service.ask("PUT", bearer("s/a", 100, "a@x", until), {}, DATA).status, 201)
        for hours, status, known in ((23, 403, 2), (26, 410, 2), (49, 410, 1)):
            self.service.now = NOW + hours * 3600.0
            self.successResultOf(Deferred.fromCoroutine(self.service.shelf.sweep(3600.0, 0.0)))
            self.assertEqual(self.service.ask("PUT", bearer("b/a", 100, "a@x", until), {}, DATA).status, status)
            self.assertEqual(len(self.service.uploads._records), known)

    def test_x_signature(self) -> None:
        """A signature that covers a path alone opens nothing."""
        for verb, path in (("PUT", "/up/s/a"), ("POST", "/up/upload"), ("POST", "/up/chunked-upload")):
            mac = hmac.new(SECRET, path.encode(), "sha256").hexdigest()
            self.assertEqual(self.service.ask(verb, path, {"X-Signature": mac}, DATA).status, 401)

    def test_quota(self) -> None:
        """Beyond the quota of its user nothing begins, and it is said how much there is; what has begun goes on."""
        self.service = Service(self.mktemp(), quota=100)

        def put(name: str, size: int, cut: int = 0) -> int:
            claims = {"sub": "a@x", "exp": NOW + 300, "slot": "q", "filename": name, "filesize": size}
            headers = {"Authorization": f"Bearer {jwt(SECRET, claims)}"}
            if cut:
                self.service.cut_put(f"/up/q/{name}", headers, size, b"x" * cut)
            self.answer = self.service.ask("PUT", f"/up/q/{name}", headers, b"x" * size)
            return self.answer.status

        self.assertEqual([put("a", 60, 20), put("b", 41), put("b", 40)], [201, 413, 201])
        self.assertEqual(put("c", 1), 413)
        self.assertIn(b"100 of 100 bytes", self.answer.body)
        self.assertEqual(self.service.shelf.counts["uploads_over_quota"], 2)

    def test_own_folder(self) -> None:
        """A slot that its user has signed himself counts as his, whoever he says he is, and keeps nothing longer."""
        self.service = Service(self.mktemp(), quota=100, keeps=3600)

        def put(name: str, size: int, **said: object) -> int:
            claims = {"exp": NOW + 300, "slot": "~bob/1", "filename": name, "filesize": size, **said}
            headers = {"Authorization": f"Bearer {jwt(TOKEN, claims)}"}
            return self.service.ask("PUT", f"/up/~bob/1/{name}", headers, b"x" * size).status

        self.assertEqual(put("a", 50, sub="alice@x", keep=1 << 40), 201)
        self.assertEqual(put("b", 50, sub="", keep=60), 201)
        self.assertEqual([put("c", 1, sub=sub) for sub in ("alice@x", "", "bob")], [413] * 3)
        records = [self.service.uploads._records[f"~bob/1/{name}"] for name in "ab"]
        self.assertEqual([(each.user, each.lasts_until - NOW) for each in records], [("~bob", 3600), ("~bob", 60)])

    def test_forged_tokens(self) -> None:
        """Ten thousand forged slots leave nothing behind."""
        line = Line(self.service)
        for number in range(10_000):
            line.begin("PUT", f"/up/s/{number}?v={number:064x}", {})
        self.service.clock.advance(1)
        self.assertEqual({each.status for each in line.answers()}, {403})
        self.assertEqual(self.service.shelf.counts["uploads_begun"], 0)
        self.assertEqual(list((self.service.vault._partial).iterdir()), [])
