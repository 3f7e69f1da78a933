"""A network whose records were lost: nobody comes in, and everybody who may comes back."""

from __future__ import annotations

from tests.lab.case import LabCase

WITHIN = 15.0  # seconds for a client to come back


class RecordsTests(LabCase):
    rootless = False  # nothing of it depends on who one is

    def test_lost_and_back(self) -> None:
        """
        The database is emptied while the server is down: it stays closed and says what to do. The records that are made
        from the CA's book give the client its old addresses, and a backup of them as well; who was revoked stays out.
        """
        inner = tuple(self.client.session()["inner"])
        thief = self.vpn.enrol(name="thief")
        self.vpn.clients.remove(thief)  # it is on the client's machine, and runs when that does not
        place = ("--dir", str(self.server.etc))
        self.server.morphnet("pki", "revoke", "thief", *place)
        database = self.server.etc / "state" / "morphnet.db"
        self.server.kill()
        database.write_bytes(b"")
        self.server.start()
        status = self.server.status()
        self.assertEqual((status["state"], status["sessions"]), ("closed", []))
        (sentence,) = status["warnings"]
        self.assertIn(f"{database} is empty", sentence)
        self.assertIn(sentence, self.server.log.read_text())
        self.server.stop()
        self.server.morphnet("restore", "--from-book", *place)
        self._back(inner)
        backup = self.server.etc / "backup"
        self.server.morphnet("backup", str(backup), *place)
        self.server.stop()
        for each in database.parent.glob("morphnet.db*"):
            each.unlink()
        self.server.morphnet("restore", str(backup), *place)
        self._back(inner)
        self.client.stop()
        thief.start()
        self.addCleanup(self.client.start)
        self.addCleanup(thief.stop)
        self.until("the thief is turned away", lambda: "revoked" in thief.status()["state"], WITHIN)
        self.assertNotIn("active", thief.states().values())

    def _back(self, inner: tuple[str, ...]) -> None:
        self.server.start()
        self.both_active(WITHIN)  # a client on its own does not know yet that the server was gone
        self.breathes()
        self.assertEqual(tuple(self.client.session()["inner"]), inner)
