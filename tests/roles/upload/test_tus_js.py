"""The real tus-js-client, in each of its protocols, on slots of a real server on loopback."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.wire.messages.upload.slots import jwt
from tests import tus_js
from tests.upload_nodes import SECRET, UploadNode

SIZE = 1_000_001


class TusJsTests(SynchronousTestCase):
    skip = tus_js.WITHOUT
    timeout = 120

    def test_protocols(self) -> None:
        """At once, cut and gone on with, and in three parts at the same time: the file is the same."""
        node = UploadNode()
        self.addCleanup(node.end)
        node.start()
        data = os.urandom(SIZE)
        file = Path(self.mktemp()).absolute()
        file.write_bytes(data)
        for number, (protocol, parts, cut) in enumerate(
            (("tus-v1", 1, 0), ("tus-v1", 1, 1), ("tus-v1", 3, 0), ("ietf-draft-03", 1, 0), ("ietf-draft-03", 1, 1),
             ("ietf-draft-05", 1, 0), ("ietf-draft-05", 1, 1))
        ):  # fmt: skip
            now, slot = int(time.time()), f"js{number}"
            claims = {"sub": "a@x", "slot": slot, "filename": "f", "filesize": SIZE, "exp": now + 300}
            headers = {"Authorization": f"Bearer {jwt(SECRET.encode(), claims)}"}
            url = f"http://127.0.0.1:{node.port}/upload/{slot}/f"
            words = tus_js.words(protocol, parts, url, file, headers, cut=bool(cut))
            done = subprocess.run(words, capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, (protocol, parts, cut, done.stderr[-2000:]))
            self.assertEqual(node.ask("GET", f"/upload/{slot}/f")[2], data, (protocol, parts, cut))
        self.assertEqual(node.counter("uploads_complete"), 7 + 3)  # the parts are files until they are put together
