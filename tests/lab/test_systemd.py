"""
The units, under a systemd of their own that is the first process of its machine: what `morphnet up`, `down` and `leave`
do there, what is left after a `kill -9`, who may read what, and what the journal says.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab.box import Box
from morphnet.lab.topologies import SERVER, two_uplinks
from morphnet.lab.vpn import wait_for
from tests.lab.booted import Booted, ControlGroups, why_not
from tests.lab.scene import NOT_HERE
from tests.lab.wireguard import lacking

NOT_JOINED = (
    "this machine has not joined a network: on its server `morphnet invite NAME` prints a line, run `morphnet join"
)
NICE = "cut -d' ' -f19 /proc/$(systemctl show -P MainPID {unit})/stat"
BY_BOTH = "connected by wan0, wan1"
# Owner, group, mode, and where: what others than root and the service's user may see, and what these two may not.
GATEWAY_FILES = """\
root:root 755 /etc/morphnet
root:root 700 /etc/morphnet/ca
root:root 600 /etc/morphnet/ca/ca.key
morphnet:root 600 /etc/morphnet/authorized_keys
morphnet:morphnet 700 /etc/morphnet/pki
morphnet:morphnet 600 /etc/morphnet/pki/gw.example.key
morphnet:morphnet 700 /var/lib/morphnet
morphnet:morphnet 600 /var/lib/morphnet/morphnet.db
morphnet:morphnet 750 /run/morphnet
morphnet:morphnet 600 /run/morphnet/feed.sock
morphnet:morphnet 600 /run/morphnet/manhole.sock
root:morphnet 660 /run/morphnet-signer.sock""".splitlines()
LAPTOP_FILES = """\
root:root 700 /etc/morphnet
root:root 700 /etc/morphnet/pki
root:root 600 /etc/morphnet/pki/laptop.key
root:root 700 /var/lib/morphnet
root:root 600 /var/lib/morphnet/host-journal
root:root 750 /run/morphnet
root:root 600 /run/morphnet/feed.sock
root:root 600 /run/morphnet/manhole.sock""".splitlines()


class SystemdCase(SynchronousTestCase):
    """
    Two machines where nobody did anything yet: one with a public address, one behind two routers.

    :cvar machines: names of nodes of the box.
    """

    skip = NOT_HERE or why_not()
    rootless = False
    timeout = 180
    machines: tuple[str, ...] = ("server",)

    def setUp(self) -> None:
        """:ivar gateway: the machine with a public address."""
        groups = ControlGroups()
        self.addCleanup(groups.close)
        box = Box(two_uplinks((0.005, 0.005), (None, None)))
        self.addCleanup(box.stop)
        box.start()
        booted = [Booted(box.node(name), groups) for name in self.machines]
        for machine in booted:
            self.addCleanup(machine.off)
        for machine in booted:
            machine.wait_ready()
        self.gateway, self.laptop = booted[0], booted[-1]

    def says(self, machine: Booted, line: str, *said: str, code: int = 0) -> None:
        """Of this command, this exit code and these lines."""
        self.assertEqual(machine.sh(line), (code, list(said)), line)

    def asked(self, machine: Booted, line: str) -> list[str]:
        """What a command prints that does well."""
        code, lines = machine.sh(line)
        self.assertEqual(code, 0, lines)
        return lines

    def begin(self) -> None:
        """A network is founded on the gateway."""
        self.asked(self.gateway, f"morphnet init --name gw.example --address {SERVER}")

    def killed(self, machine: Booted, unit: str) -> None:
        """Its process is killed, and the next one does its work: it is as it was, once more."""
        was, picture = self.process(machine, unit), machine.picture()
        self.asked(machine, f"kill -9 {was}")
        role = unit.removeprefix("morph-")
        wait_for("another one works", lambda: self.process(machine, unit) not in (was, "0") and bool(
            machine.sh(f"morphnet up {role}")[1][0].startswith(f"{role} was up already: ")
        ), 40, 0.2)  # fmt: skip
        self.assertEqual(machine.picture(), picture)
        self.says(machine, f"systemctl show -P NRestarts {unit}", "1")

    def process(self, machine: Booted, unit: str) -> str:
        """The number of its process."""
        return self.asked(machine, f"systemctl show -P MainPID {unit}")[0]

    def journal(self, machine: Booted, unit: str) -> list[str]:
        """What its processes have written, without what systemd says of them."""
        fields = f"_SYSTEMD_UNIT={unit}.service SYSLOG_IDENTIFIER={unit}"
        return self.asked(machine, f"journalctl --quiet --output cat {fields}")

    def ended(self, machine: Booted, role: str, picture: str) -> None:
        """It is down for good, and the machine as it was."""
        unit = f"morph-{role}"
        self.says(machine, f"morphnet down {role}", f"{role} is down")
        self.assertEqual(machine.picture(), picture)
        self.says(machine, f"systemctl is-active {unit}", "inactive", code=3)
        self.says(machine, f"systemctl is-enabled {unit}", "disabled", code=1)
        self.says(machine, "systemctl list-units --failed --quiet")
        self.says(machine, "find /run -type s -path '*morphnet*'")
        self.says(machine, f"morphnet down {role}", f"{role} did not run")
        systemd_said = self.asked(machine, f"journalctl --quiet --output cat --unit {unit}")
        self.assertEqual([line for line in systemd_said if "Traceback" in line or "mode is different" in line], [])

    def rights(self, machine: Booted, files: list[str]) -> None:
        """Whose they are; nobody else gets to the sockets."""
        paths = " ".join(line.split()[-1] for line in files)
        self.assertEqual(self.asked(machine, f"stat -c '%U:%G %a %n' {paths}"), files)
        nobody = "setpriv --reuid=nobody --regid=nogroup --clear-groups env HOME=/nonexistent"
        code, lines = machine.sh(f"{nobody} morphnet status")
        self.assertEqual((code, len(lines), lines[0].count("use `sudo`")), (1, 1, 1), lines)
        self.assertNotEqual(machine.sh(f"{nobody} morphnet status --dir /etc/morphnet")[0], 0)


class GatewayTests(SystemdCase):
    """The units of a server and a relay."""

    def test_server(self) -> None:
        """Up, up again, read again, killed, down: the machine is as it was, and what is its user's alone stays so."""
        code, (line,) = self.gateway.sh("morphnet up")
        self.assertEqual((code, line.startswith(f"Error: {NOT_JOINED}")), (1, True), line)
        self.begin()
        self.asked(self.gateway, "morphnet set stream_port 443")  # which is for its user only by a capability
        picture = self.gateway.picture()
        self.says(self.gateway, "morphnet up", "server is up: serving")
        self.says(self.gateway, "morphnet up", "server was up already: serving")
        self.assertTrue(self.asked(self.gateway, "morphnet status")[0].startswith("server gw.example  serving"))
        self.assertNotEqual(self.gateway.picture(), picture)
        self.rights(self.gateway, GATEWAY_FILES)
        self.says(self.gateway, "systemctl is-enabled morph-server", "enabled")
        self.says(self.gateway, NICE.format(unit="morph-server"), "-15")
        looked = self.asked(self.gateway, "systemctl status morph-server")
        self.assertEqual(looked[0], "● morph-server.service - morphnet gateway")
        self.says(
            self.gateway, "setpriv --reuid=morphnet --regid=morphnet --clear-groups test -r /etc/morphnet/ca", code=1
        )
        read = "revocations and the server's certificate are read again; no setting has changed"
        self.says(self.gateway, "morphnet reload", read)
        self.says(self.gateway, "systemctl reload morph-server")
        wait_for("it has read again", lambda: f"reload: {read}" in self.journal(self.gateway, "morph-server"))
        self.killed(self.gateway, "morph-server")
        phones = self.phones_come()
        self.ended(self.gateway, "server", picture)
        lines = ["morph-server gw.example is serving", f"reload: {read}", "undid 8 changes of an earlier run"]
        lines += ["morph-server gw.example is serving", *phones, "stopping", "stopped"]
        self.assertEqual(self.journal(self.gateway, "morph-server"), lines)

    def phones_come(self) -> list[str]:
        """With the rights that it has it can have WireGuard, and let go of it: what it says of that."""
        if lacking("wireguard-go"):
            return []
        self.asked(self.gateway, "morphnet set wireguard.listen 0.0.0.0:51820")
        up = "ip link show dev morphwg0 up | grep -q morphwg0"
        wait_for("there is a device", lambda: self.gateway.sh(up)[0] == 0)
        self.says(self.gateway, "morphnet phones", "nobody comes by WireGuard")
        self.asked(self.gateway, "morphnet set wireguard.listen ''")
        wait_for("there is none", lambda: self.gateway.sh(up)[0] != 0)
        said = self.journal(self.gateway, "morph-server")
        came = next(at for at, line in enumerate(said) if line.startswith("phones come by "))
        return said[came:]  # wireguard-go may have something to say of its end

    def test_relay(self) -> None:
        """Likewise a relay, which changes nothing; where a port is taken it says so, and goes on trying."""
        self.begin()
        picture = self.gateway.picture()
        holder = self.gateway.sh("setsid python3 -c 'import socket, time; s = socket.create_server((\"\", 8443)); "
                                 "time.sleep(99)' >/dev/null 2>&1 & echo $!")[1][0]  # fmt: skip
        taken = "cannot serve on 0.0.0.0 TCP port 8443: Address already in use"
        again = "systemd tries again, until `morphnet down relay`"
        self.says(self.gateway, "morphnet up relay --wait 8", f"Error: relay: {taken}; {again}", code=1)
        self.says(self.gateway, "morphnet down relay", "relay is down")
        self.asked(self.gateway, f"kill {holder}")
        self.says(self.gateway, "morphnet up relay", "relay is up: serving")
        self.says(self.gateway, "morphnet up relay", "relay was up already: serving")
        self.assertTrue(self.asked(self.gateway, "morphnet status")[0].startswith("relay gw.example  serving"))
        self.assertEqual(self.gateway.picture(), picture)
        run_dir = ["morphnet:morphnet 750 /run/morphnet-relay", "morphnet:morphnet 600 /run/morphnet-relay/feed.sock"]
        self.rights(self.gateway, [line for line in GATEWAY_FILES if "/run/morphnet/" not in line][:8] + run_dir)
        self.says(self.gateway, NICE.format(unit="morph-relay"), "-15")
        self.says(
            self.gateway, "morphnet reload", "certificates and revocations are read again; no setting has changed"
        )
        self.killed(self.gateway, "morph-relay")
        self.ended(self.gateway, "relay", picture)
        lines = [line for line in self.journal(self.gateway, "morph-relay") if taken not in line]
        self.assertEqual(lines.count("morph-relay gw.example is serving"), 2)


class LaptopTests(SystemdCase):
    """The unit of a client."""

    machines = ("server", "client")

    def setUp(self) -> None:
        """The gateway is up."""
        super().setUp()
        self.begin()
        self.asked(self.gateway, "morphnet up")

    def test_client(self) -> None:
        """Joined by the signer's unit; up, changed, killed, down; and with `leave` nothing is left of it."""
        unit = Path(__file__).parents[2] / "tap/systemd/morph-client.service"
        untouched, fresh = self.files(), self.laptop.picture()
        self.asked(self.laptop, f"cat >/etc/systemd/system/morph-client.service <<'END'\n{unit.read_text()}END")
        self.asked(self.laptop, "systemctl start morph-client")
        wait_for("it has said why not", lambda: bool(self.journal(self.laptop, "morph-client")))
        self.asked(self.laptop, "systemctl stop morph-client")
        line = self.journal(self.laptop, "morph-client")[0]
        self.assertTrue(line.startswith(f"morphnet: there is no /etc/morphnet/client.toml: {NOT_JOINED}"), line)
        self.asked(
            self.laptop, "rm /etc/systemd/system/morph-client.service; systemctl daemon-reload; journalctl -q --rotate"
        )

        invitation = next(each for each in self.asked(self.gateway, "morphnet invite laptop") if "morphnet1:" in each)
        self.assertIn("Next: morphnet up", self.asked(self.laptop, f"morphnet join {invitation.strip()}"))
        self.says(self.laptop, "morphnet up", f"client is up: {BY_BOTH}")
        self.says(self.laptop, "morphnet up", f"client was up already: {BY_BOTH}")
        self.assertIn(f"  now     {BY_BOTH}", self.asked(self.laptop, "morphnet status"))
        self.asked(self.laptop, "ping -c 1 -W 5 10.73.0.1")
        self.rights(self.laptop, LAPTOP_FILES)
        self.says(self.laptop, "systemctl is-enabled morph-client", "enabled")
        said = self.asked(self.laptop, "morphnet set scheduler redundant")
        self.assertEqual(said[-1], "The running client says: tuning.scheduler: applied.")
        self.says(self.laptop, "morphnet reload", "no setting has changed")
        self.killed(self.laptop, "morph-client")
        self.asked(self.laptop, "ping -c 1 -W 5 10.73.0.1")
        self.ended(self.laptop, "client", fresh)

        self.says(self.laptop, "morphnet up", f"client is up: {BY_BOTH}")
        self.assertEqual(self.asked(self.laptop, "morphnet leave --yes")[0], "client is down")
        self.assertEqual(self.laptop.picture(), fresh)
        self.assertEqual(self.files(), untouched)

    def files(self) -> list[str]:
        """All that the laptop has on its disk, and in /run of what is morphnet's."""
        return self.asked(self.laptop, "find / -xdev | sort; find /run -path '*morph*'")
