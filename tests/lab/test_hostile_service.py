"""Root looks at a process of the service's user, who means no good."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from morphnet.cli.enrol import enter
from morphnet.cli.joining import Membership
from morphnet.cli.layout import Place
from morphnet.errors import HostError
from morphnet.lab.vpn import BIN
from morphnet.ops.manhole import ssh_config
from morphnet.ops.rundir import FEED, KNOWN_HOSTS, MANHOLE, SSH_CONFIG
from morphnet.pki.invitation import decode, encode
from morphnet.status import as_json
from tests.fakes_pki import an_authority, an_invitation
from tests.lab.test_rights import RightsCase
from tests.ops.pictures import MACHINE, NAS
from tests.test_status import steered

WITHIN = 20.0  # seconds for one command


class HostileTests(RightsCase):
    """`run_dir` is the service's user's, and nothing in it is as the service left it."""

    def setUp(self) -> None:
        """:ivar run: what root names with --run-dir; `proof` is there when something was done with root's rights."""
        super().setUp()
        self.run_dir, self.proof = self.base / "etc" / "run", self.secret / "proof"
        self.run_dir.mkdir(parents=True)
        self.key = self.run_dir / "console_ed25519"

    def morphnet(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of root's."""
        program = [str(BIN / "morphnet"), words[0], "--run-dir", str(self.run_dir), *words[1:]]
        return subprocess.run(program, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=WITHIN)

    def refused(self, *words: str) -> str:
        """One sentence, and nothing done."""
        ended = self.morphnet(*words)
        self.assertEqual((ended.returncode, ended.stdout, ended.stderr.count("\n")), (1, "", 1), ended.stderr)
        self.assertFalse(self.proof.exists())
        return ended.stderr

    def test_settings(self) -> None:
        """What stands in its ssh settings is not read, let alone run; a key that is a link or a pipe is refused."""
        evil = f"Host *\n  ProxyCommand sh -c 'id -u > {self.proof}; exit 1'\n"
        (self.run_dir / SSH_CONFIG).write_text(evil)
        self.assertIn("no morphnet with a manhole", self.refused("console", "status()"))
        self.key.symlink_to(self.secret / "id_ed25519")
        (self.secret / "id_ed25519").write_text("root's own key")
        self.give(self.run_dir, self.run_dir / SSH_CONFIG, self.key)
        self.assertIn("cannot read", self.refused("console", "status()"))
        self.key.unlink()
        os.mkfifo(self.key)
        self.give(self.key)
        self.assertIn("is no file", self.refused("console", "status()"))
        self.key.unlink()
        self.key.write_bytes(b"no key")
        self.give(self.key)
        ended = self.morphnet("console", "status()")
        self.assertEqual((ended.returncode, self.proof.exists()), (255, False), ended.stderr)
        ours = ssh_config(None, self.run_dir / MANHOLE, self.run_dir / KNOWN_HOSTS, self.key)
        self.assertNotIn(str(self.proof), ours)

    def test_feed(self) -> None:
        """Whatever its feed says, root's terminal shows text; and root is not kept waiting, nor fed without end."""
        for picture, words in ((MACHINE, ("status",)), (NAS, ("why", "nas"))):
            said = json.dumps(steered(json.loads(json.dumps(as_json(picture))))).encode() + b"\n"
            with Feed(self.run_dir / FEED, [said]):
                ended = self.morphnet(*words)
                self.assertEqual(ended.returncode, 0, ended.stderr)
                self.assertTrue(ended.stdout.replace("\n", "").isprintable(), ended.stdout)
            (self.run_dir / FEED).unlink()
        with Feed(self.run_dir / FEED, [b'{"error": "\\u001b[2Jno"}\n']):
            self.assertEqual(self.refused("status"), "Error: ?[2Jno\n")
        (self.run_dir / FEED).unlink()
        with Feed(self.run_dir / FEED, [b"x" * (1 << 20)] * 16):
            self.assertIn("no answer", self.refused("status"))
        (self.run_dir / FEED).unlink()
        with Feed(self.run_dir / FEED, [b"x"] * 1000, every=0.5):
            self.assertIn("does not answer", self.refused("status"))


class JoinTests(RightsCase):
    """Root joins with a --dir that is the service's user's."""

    def setUp(self) -> None:
        """:ivar place: with a directory for keys."""
        super().setUp()
        self.place = Place(self.state)
        self.place.pki_dir.mkdir(parents=True)
        self.give(self.state, self.place.pki_dir)
        self.authority = an_authority(now=time.time())
        self.invited = decode(encode(an_invitation(self.authority, now=time.time())))

    def joined(self, meanwhile: Callable[[], object]) -> None:
        """Root joins; what the user does while the server is asked, at the worst moment."""

        def request(key: Ed25519PrivateKey) -> Membership:
            meanwhile()
            return Membership(self.authority.client(key.public_key(), "laptop", now=time.time()))

        enter(self.place, self.invited, self.invited.address, request)

    def test_usable(self) -> None:
        """All that is made belongs to whom the directory belongs to."""
        self.joined(lambda: None)
        made = [each for each in self.state.rglob("*") if each.is_file()]
        self.assertEqual({each.stat().st_uid for each in made}, {self.user}, made)
        self.assertEqual(len(made), 5)

    def test_moved_away(self) -> None:
        """A directory for which a link is put while root works there leads root nowhere, and root is told so."""

        def away() -> None:
            self.place.pki_dir.rename(self.state / "was")
            self.place.pki_dir.symlink_to(self.secret)
            self.give(self.place.pki_dir)

        self.assertRaises(HostError, self.joined, away)
        self.assertEqual(list(self.secret.iterdir()), [])


class Feed:
    """A socket that says these pieces to everybody, one after the other."""

    def __init__(self, path: Path, pieces: list[bytes], every: float = 0.0) -> None:
        self._pieces, self._every = pieces, every
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen(5)

    def __enter__(self) -> None:
        threading.Thread(target=self._serve, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _serve(self) -> None:
        try:
            while True:
                asking, _ = self._socket.accept()
                with asking:
                    self._say(asking)
        except OSError:
            pass  # closed: the test is over

    def _say(self, asking: socket.socket) -> None:
        asking.recv(4096)
        try:
            for piece in self._pieces:
                asking.sendall(piece)
                time.sleep(self._every)
        except OSError:
            pass  # whoever asked has had enough
