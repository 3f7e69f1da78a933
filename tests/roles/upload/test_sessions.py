"""The owner of an upload asks how far it is."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.http import Exchange
from morphnet.roles.upload.callers import Callers
from morphnet.roles.upload.sessions import HEADER, LASTS, LONGEST, session_id
from morphnet.store.base import UploadRecord
from morphnet.wire.messages.upload.slots import jwt
from tests.fakes_upload import NOW, SECRET, Answer, Service, slot

DATA = bytes(range(100))
HERE = HEADER.lower()


class SessionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.service = Service(self.mktemp(), callers=Callers((), lambda: 0.0))

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

    def token(self, **more: object) -> dict[str, str]:
        """That of a slot of mod_http_file_share."""
        claims = {"sub": "a@x", "slot": "j", "filename": "f", "filesize": 100, "exp": NOW + 300, "expires": NOW + 3600}
        return {"Authorization": f"Bearer {jwt(SECRET, claims | more)}"}

    def refreshed(self, token: dict[str, str], session: str) -> Answer:
        """One more."""
        return self.service.ask("POST", f"/up/j/f?session_id={session}", token)

    def test_refresh(self) -> None:
        """A token that is over is exchanged for one that is not, ten times; by it the upload goes on."""
        token = self.token()
        self.service.cut_put("/up/j/f", token, 100, DATA[:30])
        told = self.service.ask("HEAD", "/up/j/f", token).headers[HERE]
        self.service.now = NOW + 4000
        self.assertEqual(self.service.ask("HEAD", "/up/j/f", token).status, 410)
        for left in range(9, -1, -1):
            said = json.loads(self.refreshed(token, told).body)
            self.assertEqual((said["refreshes_left"], said["expires_at"]), (left, int(NOW) + 4000 + LASTS))
            token = {"Authorization": said["authorization"]}
        refused = self.refreshed(token, told)
        self.assertEqual((refused.status, b"10 tokens" in refused.body), (429, True))
        answer = self.service.ask("HEAD", "/up/j/f", token)
        self.assertEqual((answer.status, answer.headers["upload-offset"], answer.headers[HERE]), (204, "30", told))
        said = json.loads(self.service.ask("GET", f"/up/j/f?session_id={told}", token).body)
        self.assertEqual((said["refresh_count"], said["max_refreshes"]), (10, 10))
        self.assertEqual(self.service.ask("PUT", "/up/j/f", token, DATA).status, 201)

    def test_refresh_refused(self) -> None:
        """Nobody gets one without slot and id, for another file, beyond 72 hours, or when the file is whole."""
        token = self.token()
        self.service.cut_put("/up/j/f", token, 100, DATA[:30])
        told = self.service.ask("HEAD", "/up/j/f", token).headers[HERE]
        self.assertEqual(self.refreshed({}, told).status, 401)
        self.assertEqual(self.refreshed({"Authorization": "Bearer a.b.c"}, told).status, 401)
        self.assertEqual(self.refreshed(self.token(filesize=99), told).status, 413)
        self.assertEqual(self.refreshed(self.token(filename="g"), told).status, 400)
        self.assertEqual(self.refreshed(token, "0" * 64).status, 403)
        self.service.now = NOW + LONGEST - 60
        said = json.loads(self.refreshed(token, told).body)
        self.assertEqual((said["expires_at"], said["refreshes_left"]), (int(NOW) + LONGEST, 9))
        self.service.now = NOW + LONGEST
        self.assertEqual(self.refreshed(token, told).status, 410)
        self.service.now = NOW
        self.assertEqual(self.service.ask("PUT", "/up/j/f", token, DATA).status, 201)
        self.assertEqual(self.refreshed(token, told).status, 409)

    def test_history(self) -> None:
        """Where an upload came from, each time it was another place."""
        service, target = self.service, slot("s/a", 100)
        for address in ("192.168.0.2", "192.168.0.2", "10.1.1.1", "192.0.2.1"):
            self.patch(Exchange, "peer", address)
            service.cut_put(target, {"User-Agent": "X Mobile"}, 100, DATA[:30])
        told = session_id(SECRET, UploadRecord("s/a", 100, "", "", 0))
        said = json.loads(service.ask("GET", f"{target}&session_id={told}").body)["network_history"]
        networks = ("wifi_private", "cellular_lte", "mobile_unknown")
        self.assertEqual([each["to_network"] for each in said], list(networks))
        self.assertEqual([each["from_network"] for each in said], [None, *networks[:2]])
        self.assertEqual([each["client_ip"] for each in said], ["192.168.0.2", "10.1.1.1", "192.0.2.1"])
        self.assertEqual({each["timestamp"] for each in said}, {int(NOW)})
