"""`morphnet leave`, after a `morphnet join` against a server in memory."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from morphnet.cli import background, leaving, systemd
from morphnet.cli.enrol import enter
from morphnet.cli.joining import Membership
from morphnet.cli.layout import Place
from morphnet.cli.running import Role
from morphnet.errors import ConfigError, HostError
from morphnet.pki.invitation import decode, encode
from morphnet.rights import rights_of
from tests.cli.case import CommandCase
from tests.fakes_pki import an_authority, an_invitation


class LeaveTests(CommandCase):
    def setUp(self) -> None:
        """:ivar stops: roles that were stopped."""
        super().setUp()
        self.stops: list[str] = []
        self.patch(background, "stop", self.stop)
        self.patch(systemd, "is_for", lambda role: False)
        self.patch(Role, "process", lambda role: 0)

    def join(self, place: Place) -> None:
        """As `morphnet join` does, and what a client that has run leaves besides."""
        now = time.time()
        authority = an_authority(now=now)
        invitation = decode(encode(an_invitation(authority, now=now)))

        def request(key: Ed25519PrivateKey) -> Membership:
            return Membership(authority.client(key.public_key(), invitation.name, now=now))

        enter(place, invitation, "gw:8443", request)
        self.name = invitation.name
        for directory, files in (
            (
                place.state_dir,
                (
                    "revoked.pem",
                    "host-journal",
                    "host-journal.lock",
                    "manhole_ed25519",
                    "morph-client.log",
                    "networks.json",
                    "relays.json",
                    "uplinks.json",
                ),
            ),
            (place.run_dir, ("console_ed25519", "manhole.known_hosts", "manhole.ssh_config")),
        ):
            directory.mkdir(mode=0o700)
            for file in files:
                (directory / file).touch()

    def stop(self, role: Role) -> bool:
        """It did not run."""
        self.stops.append(role.name)
        return False

    def tree(self) -> set[str]:
        """All that is there."""
        return {str(each.relative_to(self.place.root)) for each in self.place.root.rglob("*")}

    def test_as_before(self) -> None:
        """Nothing is left of it, not even the directory; what to do on the server is said; once more is a sentence."""
        self.join(self.place)
        said = self.good("leave", "--yes").output
        self.assertIn(f"morphnet pki revoke {self.name}\n", said)
        self.assertEqual((self.place.root.exists(), self.stops), (False, ["client"]))
        self.assertIn("has not joined a network", self.bad("leave", "--yes"))

    def test_others(self) -> None:
        """What is somebody else's stays: a server here, with its CA and its records, or a file of the operator's."""
        self.init()
        before = self.tree()
        self.assertIn("has not joined", self.bad("leave", "--yes"))
        alone = Place(Path(self.mktemp()).absolute())
        self.join(alone)
        (alone.root / "notes").write_text("mine")
        self.place = alone
        self.place.authorized_keys.write_text("ssh-ed25519 AAAA me\n")
        self.good("leave", "--yes")
        self.assertEqual(self.tree(), {"notes", "authorized_keys"})
        self.assertIn("pki/ca.key", before)

    def test_beside_a_server(self) -> None:
        """A client beside a server takes only its own along."""
        self.join(self.place)
        for kept in ("server.toml", "pki/gw.key"):
            (self.place.root / kept).write_text('name = "gw"\n')
        self.good("leave", "--yes")
        self.assertLessEqual({"server.toml", "pki/gw.key", "pki/ca.pem", "authorized_keys"}, self.tree())
        self.assertFalse({"client.toml", f"pki/{self.name}.key", f"pki/{self.name}.pem"} & self.tree())

    def test_log_stays(self) -> None:
        """A log in a directory that others may write, as a system's /var/log may be, is named, and all else goes."""
        self.join(self.place)
        apart = Path(self.mktemp()).absolute() / "morph-client.log"
        apart.parent.mkdir()
        apart.touch()
        self.patch(Role, "log", apart)

        def rights(directory: Path) -> AbstractContextManager[None]:
            if directory == apart.parent:
                raise ConfigError("others may write it")
            return rights_of(directory)

        self.patch(leaving, "rights_of", rights)
        self.assertIn(f"{apart} stays: others may write it", self.good("leave", "--yes").stderr)
        self.assertEqual((apart.exists(), self.place.root.exists()), (True, True))
        self.assertEqual(self.tree(), {"state", "state/morph-client.log"})

    def test_asks(self) -> None:
        """Where nobody can be asked nothing is removed without --yes."""
        self.join(self.place)
        before = self.tree()
        self.assertIn("give --yes", self.bad("leave"))
        self.assertEqual((self.tree(), self.stops), (before, []))

    def test_goes_on(self) -> None:
        """A client that cannot be stopped stays a member."""

        def stop(role: Role) -> bool:
            raise HostError("process 7 is another user's: do this as root")

        self.join(self.place)
        before = self.tree()
        self.patch(background, "stop", stop)
        self.assertIn("another user's", self.bad("leave", "--yes"))
        self.assertEqual(self.tree(), before)
