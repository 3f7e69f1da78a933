"""The owner of an upload asks how far it is."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from morphnet.roles.upload.sessions import HEADER, session_id
from morphnet.store.base import UploadRecord
from tests.fakes_upload import SECRET, Service, slot

DATA = bytes(range(100))
HERE = HEADER.lower()


class SessionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.service = Service(self.mktemp())

    def test_story(self) -> None:
        """The id is told with each answer, stays the same, and leads to what is known, before the end and after."""
        target = slot("s/a b.txt", 100).replace(" ", "%20")
        line = self.service.cut_put(target, {}, 100, DATA[:30])
        self.assertFalse(line.aborted)
        told = self.service.ask("HEAD", target).headers[HERE]
        self.assertEqual(len(told), 64)
        answer = self.service.ask("GET", f"{target}&session_id={told}")
        said = json.loads(answer.body)
        self.assertEqual(
            (answer.status, said["uploaded_bytes"], said["total_size"], said["progress"]), (200, 30, 100, 30.0)
        )
        self.assertEqual((said["filename"], said["completed"]), ("a b.txt", False))
        self.assertEqual(self.service.ask("PUT", target, {}, DATA).headers[HERE], told)
        self.assertTrue(json.loads(self.service.ask("GET", f"{target}&session_id={told}").body)["completed"])

    def test_asking_ends_nobody(self) -> None:
        """To look is not to go on: who writes just now writes on."""
        target = slot("s/a", 100)
        line = self.service.begun_put(target, 100, DATA[:30])
        told = session_id(SECRET, UploadRecord("s/a", 100, "", "", 0))
        self.assertEqual(json.loads(self.service.ask("GET", f"{target}&session_id={told}").body)["uploaded_bytes"], 30)
        line.send(DATA[30:])
        self.assertEqual(line.answers()[-1].status, 201)

    def test_not_enough(self) -> None:
        """The id without the slot, that of another upload, and of none that has begun."""
        self.service.cut_put(slot("s/a", 100), {}, 100, DATA[:30])
        told = session_id(SECRET, UploadRecord("s/a", 100, "", "", 0))
        other = session_id(SECRET, UploadRecord("s/b", 100, "", "", 0))
        for target, status in (
            (f"/up/s/a?session_id={told}", 401),
            (f"/up/s/a?v={'0' * 64}&session_id={told}", 403),
            (slot("s/a", 100) + f"&session_id={other}", 403),
            (slot("s/b", 100) + f"&session_id={other}", 404),
        ):
            self.assertEqual(self.service.ask("GET", target).status, status, target)
