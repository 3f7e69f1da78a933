"""
By hand, for `packaging/try-upgrade`: two machines with systemd and a package of morphnet go to another package and back
while connections run inside. Prints a line for each step; exit code 1 if a connection was lost.

    python -m tests.lab.upgrading ROOTS OLD NEW

    ROOTS     a directory with two Debians, `server` and `client`; in both OLD is installed
    OLD, NEW  packages, as paths in these
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from morphnet.lab.box import Box
from morphnet.lab.topologies import SERVER, two_uplinks
from morphnet.lab.vpn import wait_for
from tests.lab.booted import Booted, ControlGroups
from tests.lab.case import DELAYS, RATES, Fetch, rest
from tests.lab.scene import serve

STEPS = (("server", 1), ("client", 1), ("client", 0), ("server", 0), ("client", 1), ("server", 1))
INSTALLS = 120.0  # seconds that dpkg may take
CONNECTED = "client was up already: connected by wan0, wan1"


def asked(machine: Booted, line: str, within: float = 60.0) -> list[str]:
    """What a command says that does well."""
    code, lines = machine.sh(line, within)
    if code:
        raise SystemExit(f"{machine.name}: {line}: {code}: {' / '.join(lines[-5:])}")
    return lines


def begin(gateway: Booted, laptop: Booted) -> None:
    """A network, with both in it."""
    asked(gateway, f"morphnet init --name gw.example --address {SERVER} && morphnet up server")
    (line,) = [each.strip() for each in asked(gateway, "morphnet invite laptop") if "morphnet1:" in each]
    asked(laptop, f"morphnet join {line} && morphnet up")


def process(machine: Booted) -> str:
    """The number of what runs there."""
    role = "server" if machine.name == "server" else "client"
    return asked(machine, f"systemctl show -P MainPID morph-{role}")[0]


def exchange(machine: Booted, laptop: Booted, package: str) -> None:
    """Install that package there, as a user would, and wait until all is as before."""
    before, begun = process(machine), time.monotonic()
    asked(machine, f"dpkg -i {package}", INSTALLS)
    installed = time.monotonic()
    wait_for("another process", lambda: process(machine) not in (before, "0"))
    wait_for("connected", lambda: laptop.sh("morphnet up client")[1] == [CONNECTED], 40, 0.5)
    text = f"{machine.name}: {Path(package).name} in {installed - begun:.1f} s"
    print(f"{text}, connected by both {time.monotonic() - installed:.1f} s later", flush=True)


def ended(name: str, fetch: Fetch) -> bool:
    """Whether that connection was whole to its end."""
    final: dict[str, Any] = fetch.end(60)
    whole = (final["resets"], final["sha256_equal"]) == (0, True)
    print(f"{name}: {final['bytes'] / 1e6:.1f} MB, {'whole' if whole else final}", flush=True)
    return whole


def main(roots: Path, *packages: str) -> int:
    """The exit code."""
    groups, box = ControlGroups(), Box(two_uplinks(DELAYS, RATES))
    machines: dict[str, Booted] = {}
    try:
        box.start()
        for name in ("server", "client"):
            machines[name] = Booted(box.node(name), groups, roots / name)
        for machine in machines.values():
            machine.wait_ready()
        gateway, laptop = machines.values()
        begin(gateway, laptop)
        serve(box.node("world"))
        fetches = {"download": Fetch(laptop.node), "upload": Fetch(laptop.node, "--upload")}
        rest(2.0)
        for name, number in STEPS:
            exchange(machines[name], laptop, packages[number])
            rest(2.0)
        whole = [ended(name, fetch) for name, fetch in fetches.items()]
        said = [line for each in machines.values() for line in each.sh("journalctl -q -o cat")[1]]
        print(f"tracebacks in the journals: {sum('Traceback' in line for line in said)}")
        return 0 if all(whole) else 1
    finally:
        for machine in machines.values():
            machine.off()
        box.stop()
        groups.close()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
