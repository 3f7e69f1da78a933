"""
A file from one machine to another by what one has without a browser: HTTP over the tunnel, and scp over the bare cable.

    python -m tests.bench.bench_file [--rounds 3] [--megabytes 400]

Two namespaces and a cable that nobody shapes. `bench_webrtc` is the same for a browser and a home, on loopback; scp is
left out where there is no sshd (Debian package openssh-server, which would leave one running).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from morphnet.lab.box import Box, BoxNode
from morphnet.lab.enter import why_not
from morphnet.lab.topologies import SERVER, cables
from morphnet.lab.vpn import INNER_SERVER, Vpn, wait_for
from tests.bench.measured import CANNOT, Measured, enter_lab, middle, tell

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
HTTP_PORT, SSH_PORT = 8000, 2222
NAME = "file.bin"


def _timed(node: BoxNode, words: Sequence[str], size: int) -> float:
    """Mbit/s of a command that fetches the file."""
    begun = time.monotonic()
    done = node.run([*words], timeout=300)
    took = time.monotonic() - begun
    if done.returncode:
        raise RuntimeError(f"{words[0]}: {done.stderr[-300:]}")
    return size * 8e-6 / took


def _listens(node: BoxNode, host: str, port: int) -> None:
    words = [sys.executable, "-c", f"import socket; socket.create_connection(({host!r}, {port}), 1)"]
    wait_for(f"{port} is open", lambda: node.run(words, timeout=10).returncode == 0)


def _sshd(node: BoxNode, place: Path) -> tuple[subprocess.Popen[str], list[str]]:
    """A server of SSH, and the words before what is fetched."""
    for name in ("host", "user"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name)]
        subprocess.run(words, check=True)
    (place / "config").write_text(
        f"Port {SSH_PORT}\nListenAddress {SERVER}\nHostKey {place}/host\nAuthorizedKeysFile {place}/user.pub\n"
        f"PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n"
    )
    shell = 'mkdir -p /run/sshd; exec "$@"'  # where it separates its privileges; a node has a /run of its own
    words = ["sh", "-c", shell, "sh", str(SSHD), "-D", "-e", "-f", str(place / "config")]
    with (place / "log").open("wb") as log:
        running = node.popen(words, stderr=log)
    quiet = [word for option in ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null") for word in ("-o", option)]
    return running, ["scp", "-q", "-P", str(SSH_PORT), "-i", str(place / "user"), *quiet]


def measure(rounds: int, size: int) -> Iterator[Measured]:
    """All of them, in turn in each round."""
    found = defaultdict[str, list[float]](list)
    with Box(cables(1)) as box:
        server, client = box.node("server"), box.node("client")
        share = Path(server.dir) / "share"
        share.mkdir()
        (share / NAME).write_bytes(os.urandom(1 << 20) * (size >> 20))
        vpn = Vpn(box, SERVER)
        vpn.found()
        vpn.join(settings={"routes": ["10.73.0.0/24"]})
        words = [sys.executable, "-m", "http.server", str(HTTP_PORT), "--directory", str(share)]
        running = [server.popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)]
        _listens(client, INNER_SERVER, HTTP_PORT)
        fetch = {
            "HTTP over the tunnel": ["curl", "-sf", "-o", "/dev/null", f"http://{INNER_SERVER}:{HTTP_PORT}/{NAME}"],
            "HTTP over the cable": ["curl", "-sf", "-o", "/dev/null", f"http://{SERVER}:{HTTP_PORT}/{NAME}"],
        }
        if SSHD is not None:
            sshd, scp = _sshd(server, share)
            running.append(sshd)
            _listens(client, SERVER, SSH_PORT)
            fetch["scp over the cable"] = [*scp, f"{SERVER}:{share / NAME}", "/dev/null"]
        try:
            for _ in range(rounds):
                for case, asked in fetch.items():
                    found[case].append(_timed(client, asked, size))
        finally:
            for each in running:
                each.kill()
                each.wait()
    for case, rates in found.items():
        yield Measured("file", case, middle(rates), "Mbit/s", rounds=tuple(round(each, 1) for each in rates))


def main(arguments: Sequence[str]) -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=400)
    options = parser.parse_args(arguments)
    if reason := why_not():
        print(f"bench: {reason}", file=sys.stderr)
        return CANNOT
    enter_lab("tests.bench.bench_file")
    for each in measure(options.rounds, options.megabytes << 20):
        tell(each)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
