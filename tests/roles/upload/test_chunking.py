"""Uploads in numbered chunks, as clients of hmac-file-server send them."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.upload import chunking
from morphnet.wire.messages.upload.slots import jwt
from tests.fakes_upload import NOW, SECRET, Answer, Line, Service

DATA = bytes(range(100))
TARGET, SAID = "/up/chunked-upload", "/up/upload-status"


class ChunkingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(chunking, "CHUNK", 30)
        self.service = Service(self.mktemp())
        self.session = ""

    def token(self, **more: object) -> dict[str, str]:
        claims = {"sub": "a@x", "slot": "j", "filename": "f", "filesize": 100, "exp": NOW + 300, "expires": NOW + 3600}
        return {"Authorization": f"Bearer {jwt(SECRET, claims | more)}"}

    def begin(self, name: str = "f", size: int = 100, **more: object) -> Answer:
        headers = {**self.token(**more), "X-Filename": name, "X-Total-Size": str(size)}
        answer = self.service.ask("POST", TARGET, headers)
        if answer.status == 201:
            self.session = json.loads(answer.body)["session_id"]
        return answer

    def headers(self, number: int) -> dict[str, str]:
        return {**self.token(), "X-Upload-Session-ID": self.session, "X-Chunk-Number": str(number)}

    def chunk(self, number: int, body: bytes | None = None) -> tuple[int, dict[str, object]]:
        body = DATA[number * 30 : number * 30 + 30] if body is None else body
        answer = self.service.ask("POST", TARGET, self.headers(number), body)
        return answer.status, json.loads(answer.body) if answer.status == 200 else {}

    def status(self) -> dict[str, object]:
        said: dict[str, object] = json.loads(
            self.service.ask("GET", f"{SAID}?session_id={self.session}", self.token()).body
        )
        return said

    def test_story(self) -> None:
        """Begun, one chunk twice, one cut, and the last; the file is at its slot's address."""
        made = json.loads(self.begin().body)
        self.assertEqual((made["chunk_size"], made["total_chunks"], len(made["session_id"])), (30, 4, 64))
        told: dict[str, object] = {
            "success": True,
            "chunk": 0,
            "uploaded_bytes": 30,
            "total_size": 100,
            "progress": 0.3,
        }
        self.assertEqual(self.chunk(0), (200, {**told, "completed": False}))
        self.assertEqual(self.chunk(0), (200, {"message": "Chunk already uploaded", "chunk": 0}))
        line = Line(self.service)
        line.begin("POST", TARGET, {**self.headers(1), "Content-Length": "30"}, DATA[30:40])
        line.cut()
        said = self.status()
        self.assertEqual([said[each] for each in ("uploaded_bytes", "chunks", "completed")], [40, 1, False])
        self.assertEqual([self.chunk(1)[0], self.chunk(2)[0]], [200, 200])
        status, told = self.chunk(3)
        self.assertEqual((status, told["filename"], told["size"], told["completed"]), (200, "f", 100, True))
        self.assertEqual((self.service.stored("j/f"), self.service.ask("GET", "/up/j/f").body), (DATA, DATA))
        self.assertEqual((self.chunk(3)[1]["completed"], self.status()["completed"]), (True, True))

    def test_refused(self) -> None:
        """Another name, another size, a chunk that is too short or out of turn, an unknown session, no slot."""
        self.assertEqual([self.begin(name="../f").status, self.begin(size=99).status], [400, 413])
        self.assertEqual((self.service.uploads._records, self.begin(slot="j\0").status), ({}, 404))
        self.begin()
        self.assertEqual([self.chunk(1)[0], self.chunk(0, DATA[:29])[0], self.chunk(4)[0]], [409, 400, 400])
        self.assertEqual(self.service.vault.length("j/f"), 0)
        self.session = "0" * 64
        self.assertEqual(self.chunk(0)[0], 404)
        for headers in (
            {},
            {"X-Signature": "0" * 64},
            {"Authorization": "Bearer x"},
            {"Authorization": "Bearer a.b.c"},
        ):
            self.assertEqual(self.service.ask("POST", TARGET, headers).status, 401)
            self.assertEqual(self.service.ask("GET", SAID, headers).status, 401)
        forged = {"Authorization": f"Bearer {jwt(b'another one', {'slot': 'j', 'filename': 'f', 'filesize': 100})}"}
        self.assertEqual(self.service.ask("GET", f"{SAID}?session_id={self.session}", forged).status, 401)
