"""Who may come in, who is put out, and what those beside the wire can do. Figures D6 and D9."""

from __future__ import annotations

import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509 import random_serial_number

from morphnet.lab.topologies import SERVER
from morphnet.lab.vpn import Daemon, NotInTime, wait_for
from morphnet.pki.authority import DAY, Authority
from morphnet.pki.files import load_authority, write_certificate, write_key
from tests.lab.street import (
    CONTROL,
    DATA,
    Street,
    StreetCase,
    final,
    log_lines,
    name_for,
    session_counter,
    settle,
    told,
    until_active,
)


def foreign() -> Authority:
    """The CA of another network."""
    return Authority.found("elsewhere", Ed25519PrivateKey.generate(), random_serial_number, now=time.time())


class CertificateTests(StreetCase):
    rootless = False  # nothing of it depends on who one is

    def test_group(self) -> None:
        """Both sides say that the keys of their session are post-quantum."""
        street = self.shared()
        for daemon in (street.server, street.vpn.clients[0]):
            shown = daemon.morphnet("status", "--json", "--dir", str(daemon.etc))
            self.assertIn('"group": "X25519MLKEM768"', shown)

    def test_refused(self) -> None:
        """A certificate that is not good is refused in one sentence that says why."""
        street = self.shared()
        desk = street.vpn.enrol("second", "desk")
        now, key, pki = time.time(), Ed25519PrivateKey.generate(), desk.etc / "pki"
        write_key(pki, "desk", key, replace=True)
        ours = load_authority(street.server.etc / "pki")
        bad = {
            "expired": ours._sign("client", key.public_key(), ["desk"], now - 200, 100),
            "not valid yet": ours.client(key.public_key(), "desk", now=now + 2 * DAY),
            "foreign CA": foreign().client(key.public_key(), "desk", now=now),
            "wrong usage": ours.server(key.public_key(), ["desk"], now=now),
            "not the certificate's": ours.client(key.public_key(), "chair", now=now),
        }
        for why, certificate in bad.items():
            write_certificate(pki, "desk", certificate)
            self.assertIn(why, self._refusal(desk))
        self.assertEqual(len(street.server.status()["sessions"]), 1)
        self.assert_quiet(street.server, desk)

    def _refusal(self, client: Daemon) -> str:
        """What a client says of a server that does not want it, and what the server's log says."""
        time.sleep(1.0)  # or the log, with its one line a second, would not have it
        client.start()
        try:
            wait_for("it is refused", lambda: client.status()["state"].startswith("refused"), 5.0)
            return f"{client.status()['state']} / {log_lines(self.shared().server, 'refused')[-1]}"
        finally:
            client.stop()

    def test_own_name(self) -> None:
        """A client that calls itself other than its certificate does is refused, and says so."""
        street = self.shared()
        desk = street.vpn.enrol("second", "stool")
        pki = desk.etc / "pki"
        for suffix in ("pem", "key"):
            (pki / f"stool.{suffix}").rename(pki / f"laptop.{suffix}")
        settle(desk, [("name", '"laptop"')])
        desk.start()
        wait_for("it is refused", lambda: "certificate's" in desk.status()["state"], 5.0)
        desk.stop()
        self.assertEqual(street.ping(), 0)

    def test_another_server(self) -> None:
        """A client that wants another name, or trusts another CA, does not say a word to this server."""
        street = self.shared()
        lamp = street.vpn.enrol("second", "lamp", {"server_name": "other.example"})
        self._says(lamp, "certificate of another name")
        lamp.settings = {}
        write_certificate(lamp.etc / "pki", "ca", foreign().certificate)
        self._says(lamp, "foreign CA")
        self.assertEqual(len(street.server.status()["sessions"]), 1)

    @staticmethod
    def _says(client: Daemon, why: str) -> None:
        client.start()
        try:
            wait_for(f"it says {why}", lambda: why in client.status()["state"], 5.0)
        except NotInTime as late:
            raise NotInTime(f"{late} but {client.status()['state']}") from None
        finally:
            client.stop()

    def test_flood_of_refusals(self) -> None:
        """However many are refused, the log gets one line a second."""
        street = self.shared()
        before = len(log_lines(street.server, "refused"))
        words = "--count", 40, "--rate", 15.0, "--name", name_for(street.server)
        tally = final(street.stranger("knock", SERVER, CONTROL, *words), 20.0)
        self.assertGreater(tally["let in"], 30)
        self.assertLessEqual(len(log_lines(street.server, "refused")) - before, tally["seconds"] + 1)


class HiddenTests(StreetCase):
    rootless = False  # nothing of it depends on who one is

    def test_server(self) -> None:
        """A stranger sees no certificate, whether it asks for a name or not; who knows the CA sees one."""
        street = self.shared()
        told = final(street.stranger("junk", SERVER, CONTROL, "--name", name_for(street.server)), 30.0)
        self.assertEqual(told["shown"], ["no certificate"])
        for name in ("no name", "any name"):
            self.assertIn("CLOSED", told["ends"][name].upper())  # and no word of why
        self.assertEqual([line for line in log_lines(street.server, "knock") if "refused" in line], [])


class RevocationTests(StreetCase):
    rootless = False  # nothing of it depends on who one is

    def test_while_connected(self) -> None:
        """A revoked client is cut off while it is connected, told why, and does not come back."""
        street = self.own()
        client, server = street.vpn.join(), street.server
        begun = time.monotonic()
        server.morphnet("pki", "revoke", "laptop", "--dir", str(server.etc))
        wait_for("the session is gone", lambda: not server.status()["sessions"], 5.0)
        wait_for("it is refused", lambda: "revoked" in client.status()["state"], 5.0)
        self.assertLess(time.monotonic() - begun, 5.0)
        self.assertEqual(street.ping(grace=0.5), 3)
        client.stop()
        client.start()
        wait_for("it is refused again", lambda: "revoked" in client.status()["state"], 5.0)
        self.assertEqual(server.status()["sessions"], [])
        self.assert_quiet(server, client)

    def test_without_control(self) -> None:
        """A client whose control link is down is cut off as well: the data plane would carry it for ever."""
        street = self.own()
        client, server = street.vpn.join(), street.server
        self._block_control(street)
        wait_for("the control link is down", lambda: server.session()["control"] == "down", 60.0)
        self.assertEqual(street.ping(), 0)
        server.morphnet("pki", "revoke", "laptop", "--dir", str(server.etc))
        wait_for("the session is gone", lambda: not server.status()["sessions"], 5.0)
        self.assertEqual(street.ping(grace=0.5), 3)
        self.assert_quiet(server, client)

    @staticmethod
    def _block_control(street: Street) -> None:
        """No TCP gets to the server any more; what is there is reset, at once where the kernel can be told to."""
        rules = "add table ip cut; add chain ip cut c {type filter hook forward priority 0;}; "
        rules += "".join(f"add rule ip cut c tcp {end} 8443 reject with tcp reset; " for end in ("dport", "sport"))
        done = street.box.node("isp").run(["nft", rules])
        assert not done.returncode, done.stderr
        street.server.node.run(["ss", "--kill", "--tcp", "sport", "=", ":8443"])


class SpoofTests(StreetCase):
    rootless = False  # nothing of it depends on who one is

    def test_inner_source(self) -> None:
        """A client that sends with another's inner address, or one of nobody's, is not heard, and is counted."""
        street = self.shared()
        desk = street.vpn.join("second", "bench")
        laptop = street.vpn.clients[0]
        inner = desk.session()["inner"][0].split("/")[0] if desk.session()["inner"] else ""
        self.assertNotEqual(laptop.session()["inner"], desk.session()["inner"])
        self.assertEqual((street.ping(), street.ping("second")), (0, 0))
        for source in (inner, "10.73.0.99", "192.0.2.7"):
            street.box.change("client", [("add_address", "morph0", f"{source}/32")])
            before = self._spoofed(street)
            words = ("ping", "10.73.0.1", "--source", source, "--count", 5, "--grace", 0.3)
            self.assertEqual(final(street.tool("client", *words), 10.0)["received"], 0)
            self.assertEqual(self._spoofed(street) - before, 5)
            street.box.change("client", [("remove_address", "morph0", f"{source}/32")])
        self.assertEqual((street.ping(), street.ping("second")), (0, 0))
        desk.stop()

    @staticmethod
    def _spoofed(street: Street) -> int:
        sessions = {each["name"]: each for each in street.server.status()["sessions"]}
        return int(sessions["laptop"]["counters"].get("spoofed", 0))


class ForgeryTests(StreetCase):
    rootless = False  # nothing of it depends on who one is
    server_settings = {"forgery_limit": 500}

    def test_off_path(self) -> None:
        """Who does not see the wire cannot even be counted as a forger."""
        street = self.shared()
        final(street.stranger("flood", SERVER, DATA, "--seconds", 1.0), 10.0)
        self.assertEqual(session_counter(street.server, "forged"), 0)
        self.assertEqual(told(street.server, "session-gone"), [])

    def test_on_path(self) -> None:
        """Forgeries with an id from the wire close the session at the limit, once; the client begins a new one."""
        street = self.shared()
        client, server = street.vpn.clients[0], street.server
        echoes = street.tool("client", "ping", "10.73.0.1", "--seconds", 6, "--grace", 1)
        forged = final(street.stranger("forge", SERVER, DATA, "--count", 1500, node="isp"), 20.0)
        self.assertEqual(forged["sent"], 1500)
        wait_for("the session was closed", lambda: bool(told(server, "session-gone")), 5.0)
        took = wait_for("there is a new one", lambda: bool(server.status()["sessions"]), 5.0)
        took += until_active(client, 5.0, paths=2)
        self.assertLess(took, 5.0)
        self.assertEqual(len(told(server, "session-gone")), 1)
        self.assertIn("500 forged packets", told(server, "session-gone")[0])
        self.assertGreater(final(echoes, 20.0)["received"], 200)
        self.assertEqual(street.ping(), 0)
        self.assert_quiet(server, client)
