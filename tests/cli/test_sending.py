"""A file on its way to an upload server that is real but for its sockets."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping

from twisted.trial.unittest import SynchronousTestCase

from morphnet.cli.sending import PAUSES, Reply, Sending
from morphnet.errors import HostError
from morphnet.wire.messages.upload.slots import jwt
from tests.fakes_upload import NOW, TOKEN, Service

DATA = bytes(range(250)) * 4
TARGET = "/up/~bob/1/f"


class SendingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.service, self.cuts, self.seen = Service(self.mktemp()), list[int](), list[int]()
        self.verbs, self.pauses, self.key = list[str](), list[float](), TOKEN

    def ask(self, verb: str, headers: Mapping[str, str], body: Iterator[bytes], length: int) -> Reply:
        """To the server, or up to the next cut."""
        self.verbs.append(verb)
        if verb == "PATCH" and self.cuts:
            self.service.cut_put(TARGET, headers, length, b"".join(body)[: self.cuts.pop(0)], verb)
            raise ConnectionResetError
        answer = self.service.ask(verb, TARGET, headers, b"".join(body))
        offset = answer.headers.get("upload-offset")
        return Reply(answer.status, int(offset) if offset else None, answer.body.decode().strip())

    def authorization(self) -> str:
        claims = {"sub": "bob", "slot": "~bob/1", "filename": "f", "filesize": len(DATA), "exp": NOW + 9}
        return "Bearer " + jwt(self.key, claims)

    def sending(self, patience: float = 100.0) -> Sending:
        sending = Sending(self.ask, self.authorization, io.BytesIO(DATA), len(DATA), self.seen.append, patience)
        sending.pause, sending.now = self.pauses.append, lambda: sum(self.pauses)
        return sending

    def test_whole(self) -> None:
        """Nothing happens: three requests, and the file is there."""
        self.sending().run()
        self.assertEqual((self.verbs, self.service.stored("~bob/1/f")), (["HEAD", "POST", "PATCH"], DATA))

    def test_cuts(self) -> None:
        """Each cut is gone on from: no byte is sent to the disk twice, and what is shown never goes back."""
        self.cuts = [10, 0, 300]
        sending = self.sending()
        sending.run()
        self.assertEqual((sending.cuts, sending.went_back, sending.sent), (3, 0, 4 * len(DATA) - 10 - 10 - 310))
        self.assertEqual(self.service.stored("~bob/1/f"), DATA)
        self.assertEqual(self.service.shelf.counts["uploaded_bytes"], len(DATA))
        self.assertEqual(self.seen, sorted(self.seen))

    def test_progress(self) -> None:
        """Bytes that got through begin the pauses and the patience anew."""
        self.cuts = [50] * 12
        self.sending(1.0).run()
        self.assertEqual((set(self.pauses), self.service.stored("~bob/1/f")), ({PAUSES[0]}, DATA))

    def test_again(self) -> None:
        """A second run finds the first one's bytes; a third finds that nothing is left to do."""
        self.cuts = [400]
        with self.assertRaisesRegex(HostError, "run it again"):
            self.sending(0.0).run()
        self.sending().run()
        self.verbs.clear()
        self.sending().run()
        self.assertEqual((self.verbs, self.service.stored("~bob/1/f")), (["HEAD"], DATA))

    def test_pauses_grow(self) -> None:
        """While nothing gets through, up to half a minute; then it gives up."""
        self.ask = self.lost  # type: ignore[method-assign]
        with self.assertRaisesRegex(HostError, "connection was lost"):
            self.sending().run()
        self.assertEqual(tuple(self.pauses[: len(PAUSES)]), PAUSES)

    def lost(self, verb: str, headers: Mapping[str, str], body: Iterator[bytes], length: int) -> Reply:
        raise ConnectionRefusedError

    def test_refused(self) -> None:
        """Another's token: one sentence at once."""
        self.key = b"x" * 32
        with self.assertRaisesRegex(HostError, "refuses: 401"):
            self.sending().run()
        self.assertEqual((self.verbs, self.pauses), (["HEAD"], []))
