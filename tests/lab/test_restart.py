"""Processes end, sleep, and are found elsewhere; figures A10, A11."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from morphnet.lab.topologies import SECOND, SERVER, two_uplinks
from morphnet.lab.vpn import INNER_SERVER, SERVER_NAME
from tests.lab.case import DELAYS, RATES, LabCase, Plan, rest

KILLS = 10
PACE = ("--interval", "0.04")  # of echoes: on a busy machine a server may have them in hand for tens of milliseconds
STOPS = 4
ISP = "203.0.113.254"  # where both uplinks lead
# Answers every question for an address with the one that stands in a file.
DNS = """
import socket, sys
from pathlib import Path
from twisted.names import dns
door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
door.bind((sys.argv[1], 53))
print("ready", flush=True)
while True:
    data, sender = door.recvfrom(4096)
    asked = dns.Message()
    asked.fromStr(data)
    reply = dns.Message(asked.id, answer=True)
    reply.queries = asked.queries
    if asked.queries[0].type == dns.A:
        address = dns.Record_A(Path(sys.argv[2]).read_text())
        reply.answers.append(dns.RRHeader(asked.queries[0].name.name, dns.A, payload=address))
    door.sendto(reply.toStr(), sender)
"""
ASLEEP = 12.0  # seconds; tests/bench/bench_failover.py sleeps for five minutes


class RestartTests(LabCase):
    """One end is killed without a word, or sleeps."""

    rootless = False  # nothing of it depends on who one is

    def test_server_is_killed(self) -> None:
        """`kill -9` and a new start of the server: same addresses, no echo lost but one it had in hand, TCP goes on."""
        inner = self.client.session()["inner"]
        ping, fetch = self.ping(*PACE), self.fetch()
        rest(1.0)
        self.server.kill()
        self.server.start()
        self.both_active()
        rest(1.0)
        self.unbroken(fetch.end())
        self.lost_at_most(ping.end(), 1)
        self.assertEqual(self.client.session()["inner"], inner)

    def test_server_is_killed_again_and_again(self) -> None:
        """Ten times in a row: a kill takes no more with it than one echo that it had in hand; TCP goes on."""
        inner, begun = self.client.session()["inner"], self.last_happening(self.client)
        ping, fetch = self.ping(*PACE), self.fetch()
        for _ in range(KILLS):
            rest(0.5)
            self.server.kill()
            self.server.start()
            self.both_active()
        rest(1.0)
        self.unbroken(fetch.end())
        self.lost_at_most(ping.end(), KILLS)
        self.assertEqual(self.client.session()["inner"], inner)
        told = [each["text"] for each in self.client.happenings(begun) if each["kind"] == "control-up"]
        self.assertEqual(told, ["session begins"] * KILLS)

    def test_server_is_stopped(self) -> None:
        """Told to end and started again, some times: at most the echo in hand is lost, and none is answered twice."""
        ping = self.ping(*PACE)
        for _ in range(STOPS):
            rest(0.5)
            self.server.stop()
            self.server.start()
            self.both_active()
        rest(1.0)
        told = ping.end()
        self.lost_at_most(told, STOPS)
        self.assertEqual(told["duplicates"], 0, told)

    def test_client_is_killed(self) -> None:
        """`kill -9` and a new start of the client: same addresses, and both directions flow."""
        inner, session = self.client.session()["inner"], self.client.session()["session"]
        self.client.kill()
        self.client.start()
        self.both_active()
        self.assertEqual((self.client.session()["inner"], self.client.session()["session"]), (inner, session))
        self.breathes()
        self.assertEqual(self.ping_down("--count", "20").wait()["lost"], 0)
        fetch = self.fetch()
        rest(1.0)
        self.unbroken(fetch.end())

    def test_both_sleep(self) -> None:
        """A11: after a sleep of both ends the tunnel is there within two seconds, as it was."""
        before = self.client.session()
        begun = self.last_happening(self.client)
        fetch = self.fetch("--upload")
        rest(1.0)
        processes = [each.process for each in (self.client, self.server)]
        for process in processes:
            assert process is not None
            process.send_signal(signal.SIGSTOP)
        rest(ASLEEP)
        for process in processes:
            assert process is not None
            process.send_signal(signal.SIGCONT)
        first = self.ping("--count", "10").wait()
        self.assertGreater(first["received"], 0, first)
        self.assertLess(first["rtt_ms"]["p50"], 3000)
        self.both_active(5.0)
        rest(0.5)
        self.unbroken(fetch.end())
        after = self.client.session()
        same = ("session", "inner")
        self.assertEqual([after[name] for name in same], [before[name] for name in same])
        self.assertAlmostEqual(after["since"], before["since"], delta=0.01)  # told by one clock, shown by another
        kinds = [each["kind"] for each in self.client.happenings(begun)]
        self.assertNotIn("renewed", kinds)

    def test_client_sleeps(self) -> None:
        """A laptop sleeps and the server does not: what runs on top goes on."""
        fetch = self.fetch()
        rest(1.0)
        self.client.send_signal(signal.SIGSTOP)
        rest(5.0)
        self.client.send_signal(signal.SIGCONT)
        self.both_active(5.0)
        rest(0.5)
        self.unbroken(fetch.end())
        self.breathes()


class ServerMovesTests(LabCase):
    """A server that is called by name has two addresses, and the name leads to one of them."""

    rootless = False  # nothing of it depends on who one is

    plan = Plan(
        topology=lambda: two_uplinks(DELAYS, RATES, second_address=True),
        address=SERVER_NAME,
        names=((SERVER_NAME, SERVER),),
    )

    def test_server_address_changes(self) -> None:
        """A10: the old address goes, the name leads to the new one: the same session goes on there."""
        before = self.client.session()
        fetch = self.fetch()
        rest(1.0)
        self.here.hosts({SERVER_NAME: SECOND})
        self.box.link_down("server", "eth0")
        self.until("the paths lead to the new address", self.paths_lead_to_second, 8.0)
        self.both_active()
        rest(1.0)
        self.unbroken(fetch.end())
        self.breathes()
        after = self.client.session()
        same = ("session", "inner")
        self.assertEqual([after[name] for name in same], [before[name] for name in same])
        self.assertAlmostEqual(after["since"], before["since"], delta=0.01)  # told by one clock, shown by another
        # And back, so that the next test finds what it expects.
        self.here.hosts({SERVER_NAME: SERVER})
        self.box.link_up("server", "eth0")
        self.box.link_down("server", "eth2")
        self.until("the paths lead to the old address", self.paths_lead_to_first, 8.0)
        self.box.link_up("server", "eth2")
        self.breathes()

    def test_found_by_dns(self) -> None:
        """While the machine's DNS leads into the tunnel, and that is down, the server's new address is found."""
        name = Path(self.box.node("isp").dir) / "address"
        name.write_text(SERVER)
        serve = [sys.executable, "-c", DNS, ISP, str(name)]
        serving = self.box.node("isp").popen(serve, stdout=subprocess.PIPE, text=True)
        assert serving.stdout is not None
        self.addCleanup(serving.kill)
        self.addCleanup(serving.stdout.close)
        serving.stdout.readline()
        self.here.resolv(f"nameserver {ISP}\n")
        self.here.hosts({})
        self.server.stop()
        self.server.settings["dns"] = INNER_SERVER  # where nobody answers
        self.server.start()
        self.both_active()
        self.assertIn(f"nameserver {INNER_SERVER}\n", (Path(self.here.dir) / "resolv.conf").read_text())
        name.write_text(SECOND)
        self.box.link_down("server", "eth0")
        self.until("the paths lead to the new address", self.paths_lead_to_second, 8.0)
        self.breathes()
        # And back, so that the next test finds what it expects.
        name.write_text(SERVER)
        self.box.link_up("server", "eth0")
        self.box.link_down("server", "eth2")
        self.until("the paths lead to the old address", self.paths_lead_to_first, 8.0)
        self.box.link_up("server", "eth2")
        self.here.hosts({SERVER_NAME: SERVER})

    def paths_lead_to_second(self) -> bool:
        """All of them, and they carry."""
        return self.remotes() == {(f"{SECOND}:8000", "active")}

    def paths_lead_to_first(self) -> bool:
        """All of them, and they carry."""
        return self.remotes() == {(f"{SERVER}:8000", "active")}

    def remotes(self) -> set[tuple[str, str]]:
        """Where the client's paths over uplinks lead, and how they are; there may be one by TCP besides."""
        plain = [path for name, path in self.client.paths().items() if not name.startswith("tcp")]
        return {(path["remote"], path["state"]) for path in plain}
