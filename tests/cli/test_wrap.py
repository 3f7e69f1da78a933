"""`morphnet wrap` and `unwrap`, killed at every step too."""

from __future__ import annotations

import os
import signal

from morphnet.config.file import load
from morphnet.config.roles import ClientConfig
from tests.cli.case import CommandCase
from tests.config.test_wgquick import HERE, TEXT

ONE = TEXT[: TEXT.rindex(b"[Peer]")]


class WrapTests(CommandCase):
    def setUp(self) -> None:
        super().setUp()
        self.place.root.mkdir(parents=True, mode=0o700)
        self.ours = b'# mine\nserver = "192.0.2.1"\n'
        self.place.client_toml.write_bytes(self.ours)
        self.place.client_toml.chmod(0o640)
        self.file = self.place.root / "wg0.conf"
        self.file.write_bytes(ONE)
        self.file.chmod(0o600)
        self.words = ("wg0", "--file", str(self.file))

    def test_shown(self) -> None:
        """Without --apply nothing is changed, and no key is shown."""
        said = self.good("wrap", *self.words).output
        self.assertIn(f"+EndPoint={HERE}", said)
        self.assertIn("+MTU = 1331", said)
        self.assertIn("carry.services wireguard=127.0.0.1:51820", said)
        self.assertNotIn("c2VjcmV0", said)
        self.untouched()

    def untouched(self) -> None:
        self.assertEqual((self.file.read_bytes(), self.place.client_toml.read_bytes()), (ONE, self.ours))
        self.assertEqual({each.name for each in self.place.root.iterdir()}, {"client.toml", "wg0.conf"})

    def test_there_and_back(self) -> None:
        """Both files are changed, what is kept is the owner's alone, and all is as it was again."""
        self.good("wrap", *self.words, "--apply")
        self.assertEqual(load(ClientConfig, self.place.client_toml).carry, (f"{HERE}=wireguard",))
        self.assertIn(HERE.encode(), self.file.read_bytes())
        modes = self.modes()
        self.assertEqual(
            (modes["wg0.conf"], modes["wg0.conf.morphnet"], modes["client.toml"]), ("0o600", "0o600", "0o640")
        )
        self.assertIn("wrapped already", self.bad("wrap", *self.words))
        self.good("unwrap", *self.words)
        self.untouched()
        self.assertIn("not wrapped", self.bad("unwrap", *self.words))

    def test_tables(self) -> None:
        """Entries that stand as [[carry]] get one more, at another port."""
        self.ours += f'[[carry]]\nlisten = "{HERE}"\nto = "dns"\n'.encode()
        self.place.client_toml.write_bytes(self.ours)
        self.good("wrap", *self.words, "--apply", "--to", "office")
        self.assertEqual(load(ClientConfig, self.place.client_toml).carry, (f"{HERE}=dns", "127.0.0.1:51822=office"))
        self.good("unwrap", *self.words)
        self.untouched()

    def test_killed(self) -> None:
        """Killed before any write reaches the disk, there or on the way back: `unwrap` leaves all as it was."""
        for way in (("wrap", *self.words, "--apply"), ("unwrap", *self.words)):
            step, ended = 0, False
            while not ended:
                if way[0] == "unwrap":
                    self.good("wrap", *self.words, "--apply")
                ended = self.killed_at(step, way)
                self.assertIn(self.run_command("unwrap", *self.words).exit_code, (0, 1))
                for draft in self.place.root.glob(".client.toml.*"):
                    draft.unlink()
                self.untouched()
                step += 1
            self.assertGreater(step, 4)

    def killed_at(self, step: int, words: tuple[str, ...]) -> bool:
        """Whether it ended of itself: another process does it, and ends as by `kill -9` at that call of fsync."""
        child = os.fork()
        if not child:
            left, fsync = [step], os.fsync

            def stop(descriptor: int) -> None:
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
                fsync(descriptor)

            self.patch(os, "fsync", stop)
            try:
                os._exit(self.run_command(*words).exit_code)
            finally:
                os._exit(99)
        status = os.waitpid(child, 0)[1]
        self.assertIn(os.waitstatus_to_exitcode(status), (0, -signal.SIGKILL))
        return os.waitstatus_to_exitcode(status) == 0

    def test_changed_since(self) -> None:
        """What the operator has changed since is not lost without a word."""
        self.good("wrap", *self.words, "--apply")
        self.file.write_bytes(self.file.read_bytes() + b"# more\n")
        self.place.client_toml.write_bytes(self.place.client_toml.read_bytes() + b"# more\n")
        self.assertIn("--force", self.bad("unwrap", *self.words))
        self.assertIn("take its carry entry out", self.good("unwrap", *self.words, "--force").output)
        self.assertEqual(self.file.read_bytes(), ONE)

    def test_mistakes(self) -> None:
        """Each is one sentence, and nothing is changed."""
        for text, words, sentence in (
            (TEXT, (), "several peers"),
            (TEXT, ("--peer", "ccc="), "no [Peer] with an Endpoint and the key"),
            (b"hello", (), "no configuration of wg-quick"),
            (ONE.replace(b"[2001:db8::1]", b"127.0.0.1"), (), "this machine"),
            (ONE, ("--link-mtu", "1300"), "a link has at least"),
            (ONE, ("--to", "Bad Name"), "must hold entries like"),
            (ONE, ("--file", "/nowhere/x"), "there is no /nowhere/x"),
        ):
            self.file.write_bytes(text)
            self.assertIn(sentence, self.bad("wrap", *self.words, *words, "--apply"))
            self.assertEqual(self.file.read_bytes(), text)
        self.assertIn("no name of an interface", self.bad("wrap", "../x"))
        self.file.write_bytes(TEXT)
        self.good("wrap", *self.words, "--peer", "bbb=", "--apply")
        self.assertIn(b"[2001:db8::1]:51820", self.file.read_bytes())

    def test_notes(self) -> None:
        """What keeps it from working before DNS does, and a tunnel that wants the same route, are said."""
        self.place.client_toml.write_text('server = "gw.example:8443"\n')
        said = self.good("wrap", *self.words).output
        self.assertIn("gw.example:8443 is a name", said)
        self.assertIn("take the default route", said)
