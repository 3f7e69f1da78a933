"""Under load by strangers: floods, callers without end, sitters. Figures E1 to E3; bench_load has the full numbers."""

from __future__ import annotations

import time

from morphnet.lab.topologies import SERVER, WORLD
from morphnet.lab.vpn import Daemon, wait_for
from tests.lab.street import (
    CONTROL,
    DATA,
    StreetCase,
    counter,
    descriptors,
    final,
    name_for,
    resident,
    session_counter,
    until_active,
)

GROWTH = 16 << 20  # bytes, figure E1
CROWDED = 96 << 20  # bytes: OpenSSL takes 70 KB for each of the 1024 that may sit there, and the C library keeps them


CAME = ("control_half_open", "callers_waiting", "callers_turned_away")  # counters of callers


class FloodTests(StreetCase):
    rootless = False  # nothing of it depends on who one is
    alone = True

    def test_datagrams(self) -> None:
        """Ten thousand datagrams a second from everywhere: traffic goes on, memory stays, nobody is answered."""
        street = self.shared()
        client, server = street.vpn.clients[0], street.server
        pid, before = server.pid(), resident(server.pid())
        strange = [counter(server, name) for name in ("stranger", "malformed")]
        echoes = street.tool("client", "ping", "10.73.0.1", "--seconds", 4, "--grace", 1.0)
        street.tool("world", "transfer", "serve", "--port", 5000)
        time.sleep(0.7)
        fetch = street.tool("client", "transfer", "fetch", WORLD, 5000, "--seconds", 3)
        flood = final(street.stranger("flood", SERVER, DATA, "--seconds", 3.0), 20.0)
        got, pinged = final(fetch, 20.0), final(echoes, 20.0)
        self.assertGreater(flood["per_second"], 8000)
        self.assertEqual(flood["answers"], 0)
        self.assertLessEqual(pinged["lost"], pinged["sent"] // 50)  # E1 allows a tenth of the goodput
        self.assertTrue(got["sha256_equal"])
        self.assertGreater(got["mbit_s"], 1.0)
        self.assertLess(resident(pid) - before, GROWTH)
        counted = [counter(server, name) for name in ("stranger", "malformed")]
        self.assertGreater(counted[0] - strange[0], flood["sent"] / 4)
        self.assertGreater(counted[1] - strange[1], 0)
        self.assertEqual(session_counter(server, "forged"), 0)
        self.assertEqual(set(client.states().values()), {"active"})
        self.assert_quiet(server, client)

    def test_callers(self) -> None:
        """
        Thousands who call from all addresses of a network (E7): traffic goes on, most of them never get to us, and a
        client that comes then is in.
        """
        street = self.shared()
        client, server = street.vpn.clients[0], street.server
        memory = resident(server.pid())
        for says in (1, 0):
            before = self._met(server)
            echoes = street.tool("client", "ping", "10.73.0.1", "--seconds", 5, "--grace", 2.0)
            calling = street.stranger("call", SERVER, CONTROL, "--seconds", 6.0, "--says", says)
            wait_for("a network is screened", lambda: counter(server, "blocks_screened") > 0, 15.0)
            second = street.vpn.enrol("second", f"attic{says}")
            second.start()
            until_active(second, 10.0)
            tally, pinged = final(calling, 30.0), final(echoes, 30.0)
            self.assertLess(self._met(server) - before, 0.75 * tally["called"])
            self.assertLessEqual(pinged["lost"], pinged["sent"] // 50)
            second.stop()
        self.assertEqual(set(client.states().values()), {"active"})
        self.assertLess(resident(server.pid()) - memory, CROWDED)  # net.test_tlstransport: nothing of them stays
        self.assert_quiet(server, client)

    @staticmethod
    def _met(server: Daemon) -> int:
        """Callers that the server had to do with."""
        return sum(counter(server, name) for name in ("control_refused", "callers_turned_away", "control_half_open"))

    def test_knocking(self) -> None:
        """One address may call five times at once and 20 times a second; others are let in meanwhile."""
        street = self.shared()
        client = street.vpn.clients[0]
        limited = counter(street.server, "control_limited")
        words = "--count", 150, "--rate", 60.0, "--name", name_for(street.server)
        knocking = street.stranger("knock", SERVER, CONTROL, *words)
        time.sleep(0.5)
        client.stop()
        client.start()
        took = wait_for("the client is back", lambda: "active" in client.states().values(), 5.0)
        self.assertLess(took, 3.0)
        tally = final(knocking, 20.0)
        self.assertLessEqual(tally["let in"], 5 + 20 * tally["seconds"] + 2)
        hung_up = tally.get("hung up", 0)  # none, if the gate let them come no faster
        self.assertEqual(counter(street.server, "control_limited") - limited, hung_up)
        self.assert_quiet(street.server)


class SittersTests(StreetCase):
    rootless = False  # nothing of it depends on who one is
    alone = True

    def test_half_open(self) -> None:
        """Two thousand who connect and say nothing: a client joins as ever, and they are thrown out, to the last."""
        street = self.shared()
        server = street.server
        pid = server.pid()
        files, memory = descriptors(pid), resident(pid)
        crowd = street.stranger("crowd", SERVER, CONTROL, "--sockets", 2000, "--sources", 500, "--seconds", 30.0)
        wait_for("the crowd is there", lambda: sum(counter(server, name) for name in CAME) >= 1000, 10.0)
        begun = time.monotonic()
        second = street.vpn.join("second", "sofa")
        self.assertLess(time.monotonic() - begun, 8.0)
        self.assertEqual(street.ping("second"), 0)
        self.assertLessEqual(counter(server, "control_half_open"), 1024)
        tally = final(crowd, 40.0)
        self.assertEqual(tally["left"], 0)
        self.assertLess(tally["last_after"], 20.0)
        wait_for("all are gone", lambda: counter(server, "control_half_open") == 0, 5.0)
        self.assertLess(descriptors(pid) - files, 10)
        self.assertLess(resident(pid) - memory, CROWDED)
        self.assertEqual(street.ping("client"), 0)
        second.stop()
        self.assert_quiet(server, second)

    def test_junk(self) -> None:
        """Whatever is not TLS 1.3 with a certificate is hung up on, said once a second at most, and nothing breaks."""
        street = self.shared()
        since = street.server.session()["since"]
        unknown = counter(street.server, "control_no_knock")
        told = final(street.stranger("junk", SERVER, CONTROL, "--name", name_for(street.server)), 30.0)
        ends = told["ends"]
        self.assertEqual(ends.pop("nothing"), "left open")
        self.assertEqual({name: end for name, end in ends.items() if end in ("left open", "said nothing")}, {})
        self.assertIn("PROTOCOL", ends["TLS 1.2"].upper().replace(" ", "_"))
        self.assertIn("CERTIFICATE", ends["no certificate"].upper())
        self.assertEqual(counter(street.server, "control_no_knock") - unknown, 2)
        self.assertEqual(street.server.session()["since"], since)
        self.assertEqual(street.ping("client"), 0)
        self.assert_quiet(street.server)
