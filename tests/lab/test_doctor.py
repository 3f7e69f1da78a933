"""`morphnet doctor` on a gateway and a laptop that have one fault after the other, and beside one that is well."""

from __future__ import annotations

import json
import sys

from morphnet.lab.topologies import SERVER
from morphnet.lab.vpn import BIN, Daemon, wait_for
from tests.lab.laptop import LaptopCase

OPEN = "ports for peers are open from outside"
WELL = "what is set up runs"
TAKER = "import socket; s = socket.create_server(('', 8443)); print('has it', flush=True); input()"
AT_PROVIDER = """
ip addr del 198.51.100.1/30 dev home0
ip addr add 10.64.0.1/30 dev home0
ip route add 198.51.100.0/30 dev home0
"""
AT_HOME = """
set -- $(ip -4 -o route show default)
ip addr add 10.64.0.2/30 dev $5
ip route replace default via 10.64.0.1
"""  # the router there goes on as the address that it had
DROPS = "table inet own { chain forward { type filter hook forward priority 0; policy drop; }; }"


class DoctorTests(LaptopCase):
    def looked(self, daemon: Daemon, *words: str) -> dict[str, dict[str, str]]:
        """Each look that did not come out well: by its name, the last of them."""
        done = daemon.node.run(
            [str(BIN / "morphnet"), "doctor", "--json", "--dir", str(daemon.etc), *words], timeout=60
        )
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertGreater(len(lines), 15, done.stderr)
        self.assertEqual(done.returncode == 1, any(each["state"] == "bad" for each in lines), done.stdout)
        skipped = ("what was compiled is in use", "others can call this machine", "it has nothing to complain of")
        return {each["name"]: each for each in lines if each["state"] != "ok" and each["name"] not in skipped}

    def expect(self, daemon: Daemon, name: str, word: str) -> None:
        """That look finds something, and nothing but that look says that anything is wrong."""
        found = self.looked(daemon)
        bad = {each for each in found if found[each]["state"] == "bad"}
        self.assertIn(name, found, found)
        self.assertIn(word, found[name]["text"])
        self.assertLessEqual(bad, {name}, found)

    def sh(self, daemon: Daemon, text: str) -> None:
        done = daemon.node.run(["sh", "-c", text])
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_gateway(self) -> None:
        """Well as `init` makes it; a firewall that drops, a port that another program has, a key that all may read."""
        server = self.init()
        server.start()
        self.assertEqual(self.looked(server), {})
        self.sh(server, f"nft -f - <<'E'\n{DROPS}\nE")
        self.expect(server, "no firewall here drops what is forwarded", "own forward drops")
        self.sh(server, "nft delete table inet own")
        server.stop()
        taker = server.node.popen([sys.executable, "-c", TAKER], stdin=-1, stdout=-1, text=True)
        assert taker.stdout is not None  # asked for above
        self.assertEqual(taker.stdout.readline(), "has it\n")
        self.expect(server, "the server's ports are free for it", "TCP 8443 is taken")
        taker.communicate("\n")
        key = server.etc / "pki" / "gw.example.key"
        key.chmod(0o644)
        self.assertEqual(self.looked(server, "--fix")["keys are their owner's alone"]["state"], "mended")
        self.assertEqual(key.stat().st_mode & 0o777, 0o600)
        self.assertEqual(set(self.looked(server)), {WELL})

    def test_laptop(self) -> None:
        """Killed, and mended by --fix; a name that leads nowhere, a server that is gone, no way out, a silent path."""
        server = self.init()
        server.start()
        client = self.vpn.enrol()
        client.start()
        wait_for("a path", lambda: "active" in client.states().values())
        found = self.looked(client)
        self.assertEqual(set(found), {"names are asked through the tunnel"}, found)  # this gateway names no server
        before = self.picture(client)
        client.kill()
        self.expect(client, "routes, rules and tables are as they were", "killed has left")
        self.assertEqual(self.picture(client), before)  # who looks changes nothing
        found = self.looked(client, "--fix")
        self.assertEqual(found["routes, rules and tables are as they were"]["state"], "mended")
        self.assertEqual(set(self.looked(client)), {WELL})
        self.faults(client, server)

    def test_port(self) -> None:
        """A port for peers that the router keeps closed; of a machine that did not ask before, one that is open."""
        server = self.init()
        server.start()
        told = self.with_port("laptop")
        self.assertIn("UDP 4000 is closed from outside at wan0", told.get(OPEN, ""), told)
        self.box.set_nat("nat0", "one2one", forget=False)
        self.assertNotIn(OPEN, self.with_port("tablet"))

    def with_port(self, name: str) -> dict[str, str]:
        """What is said of a machine of that name whose port for peers is 4000."""
        client = self.vpn.enrol(name=name)
        for key, value in (("mesh.relays", SERVER), ("mesh.port", "4000")):
            client.morphnet("set", key, value, "--dir", str(client.etc))
        client.start()
        wait_for("a path", lambda: "active" in client.states().values())
        found = self.looked(client)
        client.stop()
        return {each: found[each]["text"] for each in found}

    def faults(self, client: Daemon, server: Daemon) -> None:
        """Nothing of ours runs on the laptop."""
        for how, name, word in (
            (lambda: self.second_nat(), "no NAT is behind another one", "192.168.1.1 and 10.64.0.1"),
            (lambda: server.stop(), "the server's control port answers", "8443 of"),
            (
                lambda: self.named(client, "gw.nowhere.example"),
                "the server's name leads to an address",
                "leads nowhere",
            ),
            (lambda: self.named(client, "no such"), "every configuration can be read", "server"),
        ):
            how()
            self.expect(client, name, word)

    def second_nat(self) -> None:
        """The provider's router is one that the world has no way to."""
        for node, script in (("isp", AT_PROVIDER), ("nat0", AT_HOME)):
            done = self.box.node(node).run(["sh", "-ec", script])
            self.assertEqual(done.returncode, 0, done.stderr)

    def named(self, client: Daemon, server: str) -> None:
        file = client.etc / "client.toml"
        lines = [line for line in file.read_text().splitlines() if not line.startswith("server =")]
        file.write_text("\n".join([f'server = "{server}"', *lines]) + "\n")
