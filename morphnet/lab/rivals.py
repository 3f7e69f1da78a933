"""
Tunnels to compare with, and ours, in a box of two machines and a cable: each as its maker ships it.

`contenders()` has them all. `with open_tunnel(contender, box) as ways:` brings one up between the nodes `client` and
`server`, and tells the addresses by which each reaches the other through it.

Source: wireguard-go(8) of Debian, wg(8); openvpn(8), "peer-fingerprint mode", with data channel offload left out, since
that is another program in the kernel; nebula's config.example.yml.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from morphnet.lab.box import Box
from morphnet.lab.topologies import SERVER
from morphnet.lab.vpn import Vpn, wait_for

CLIENT = "203.0.113.2"  # outside, in the topology `direct`
INNER = {"client": "10.9.0.2", "server": "10.9.0.1"}
PORT = 7000
UP_WITHIN = 15.0  # seconds
PURE = {"MORPHNET_CORE": "pure"}


@dataclass(frozen=True)
class Ways:
    """A tunnel that is up."""

    client: str  # address of the client, as the server reaches it
    server: str
    pids: tuple[int, ...]  # of the client's and the server's process; none for a bare cable


@dataclass(frozen=True)
class Contender:
    """A tunnel that can be brought up."""

    name: str
    programs: tuple[str, ...]  # that must be installed
    package: str  # of Debian, that has them
    up: Callable[[Box], Ways]

    def absent(self) -> str | None:
        """Why it cannot be measured here, in one line; None when it can."""
        missing = [program for program in self.programs if shutil.which(program, path=_path()) is None]
        return f"{self.name}: no {', '.join(missing)} here (Debian: {self.package})" if missing else None


def contenders() -> tuple[Contender, ...]:
    """Ours first."""
    return (
        Contender("morphnet", (), "", lambda box: _morphnet(box, {})),
        Contender("morphnet, pure", (), "", lambda box: _morphnet(box, PURE)),
        Contender("wireguard-go", ("wireguard-go", "wg"), "wireguard-go wireguard-tools", _wireguard),
        Contender("OpenVPN", ("openvpn",), "openvpn", openvpn),
        Contender("nebula", ("nebula", "nebula-cert"), "nebula", _nebula),
        Contender("bare cable", (), "", lambda box: Ways(CLIENT, SERVER, ())),
    )


@contextmanager
def open_tunnel(contender: Contender, box: Box) -> Iterator[Ways]:
    """
    Bring it up; what was started ends with the block.

    :raises NotInTime: it does not come up.
    """
    before = {name: list(node.started) for name, node in box.nodes.items()}
    try:
        yield contender.up(box)
    finally:
        for name, node in box.nodes.items():
            for process in node.started:
                if process not in before[name] and process.poll() is None:
                    process.terminate()
                    try:
                        process.wait(10)
                    except subprocess.TimeoutExpired:
                        process.kill()
                        process.wait()


def _path() -> str:
    return os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


def _program(name: str) -> str:
    return shutil.which(name, path=_path()) or name


def _morphnet(box: Box, environment: dict[str, str]) -> Ways:
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)  # daemons inherit it
    try:
        vpn = Vpn(box, SERVER, {"pool4": "10.9.0.0/24"})
        shutil.rmtree(vpn.server.dir, ignore_errors=True)
        shutil.rmtree(Path(box.node("client").dir) / "laptop", ignore_errors=True)
        (Path(vpn.server.node.dir) / "laptop.invite").unlink(missing_ok=True)
        vpn.found()
        client = vpn.join(settings={"uplinks": ["wan0"], "routes": ["10.9.0.0/24"]})
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    return Ways(client.session()["inner"][0], INNER["server"], (client.pid(), vpn.server.pid()))


def _addressed(box: Box, name: str, device: str, mtu: int) -> None:
    """Give the tunnel's device its address, and bring it up."""
    box.change(name, [("up", device, mtu), ("add_address", device, f"{INNER[name]}/24")])


def _reaches(box: Box) -> bool:
    """Whether an echo comes back to the client through the tunnel."""
    words = [sys.executable, "-m", "morphnet.lab.ping", INNER["server"], "--count", "1"]
    return '"received": 1' in box.node("client").run(words).stdout


def _wireguard(box: Box) -> Ways:
    wg, keys, processes = _program("wg"), dict[str, Path](), []
    for name in INNER:
        keys[name] = Path(box.node(name).dir) / "wireguard.key"
        keys[name].write_text(subprocess.run([wg, "genkey"], capture_output=True, text=True, check=True).stdout)
        node = box.node(name)
        (Path(node.dir) / "run" / "wireguard").mkdir(exist_ok=True)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        processes.append(node.popen([_program("wireguard-go"), "--foreground", "wg0"], **quiet))
        wait_for("wireguard-go answers", lambda n=node: n.run([wg, "show", "wg0"]).returncode == 0, UP_WITHIN)  # type: ignore[misc]
    for name, peer, outside in (("client", "server", SERVER), ("server", "client", CLIENT)):
        public = subprocess.run(
            [wg, "pubkey"], input=keys[peer].read_text(), capture_output=True, text=True, check=True
        )
        words = ["private-key", str(keys[name]), "listen-port", str(PORT), "peer", public.stdout.strip()]
        words += ["allowed-ips", f"{INNER[peer]}/32", "endpoint", f"{outside}:{PORT}"]
        box.node(name).run([wg, "set", "wg0", *words], check=True)
        _addressed(box, name, "wg0", 1420)
    wait_for("wireguard-go carries", lambda: _reaches(box), UP_WITHIN)
    return Ways(INNER["client"], INNER["server"], tuple(process.pid for process in processes))


def _certificate(directory: Path, name: str) -> str:
    """A key and a certificate that it signed itself, as PEM files; the certificate's SHA-256 as OpenVPN wants it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (directory / "openvpn.crt").write_bytes(made.public_bytes(pem))
    (directory / "openvpn.key").touch(0o600)
    (directory / "openvpn.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    digest = hashlib.sha256(made.public_bytes(serialization.Encoding.DER)).hexdigest().upper()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def openvpn(box: Box, carry: int = 0) -> Ways:
    """
    OpenVPN by UDP.

    :param carry: a port of the client's on loopback, from where its datagrams are brought to the server's PORT there,
        and the client calls before the server is there; 0: they go straight.
    """
    prints, own = {name: _certificate(Path(box.node(name).dir), name) for name in INNER}, ("--lport", str(PORT))
    to: dict[str, tuple[str, ...]] = {
        "client": ("--remote", SERVER, str(PORT), *own),
        "server": ("--remote", CLIENT, str(PORT), *own),
    }
    if carry:
        to = {"client": ("--remote", "127.0.0.1", str(carry), "--nobind"), "server": ("--local", "127.0.0.1", *own)}
    processes, said = {}, Path(box.node("client").dir) / "openvpn.log"
    for name in ("client", "server") if carry else ("server", "client"):
        peer = "server" if name == "client" else "client"
        directory = Path(box.node(name).dir)
        words = ["--dev", "tun0", "--dev-type", "tun", "--ifconfig", INNER[name], INNER[peer], "--proto", "udp"]
        words += [*to[name], "--disable-dco", "--dh", "none"]
        words += ["--cert", str(directory / "openvpn.crt"), "--key", str(directory / "openvpn.key")]
        words += ["--peer-fingerprint", prints[peer], "--data-ciphers", "AES-256-GCM", "--cipher", "AES-256-GCM"]
        words += ["--tls-server" if name == "server" else "--tls-client", "--verb", "3"]
        with (directory / "openvpn.log").open("w") as log:
            processes[name] = box.node(name).popen([_program("openvpn"), *words], stdout=log, stderr=log)
        if carry and name == "client":
            wait_for("OpenVPN calls", lambda: "UDPv4 link remote" in said.read_text(), UP_WITHIN)
    wait_for("OpenVPN is up", lambda: "Initialization Sequence Completed" in said.read_text(), UP_WITHIN)
    wait_for("OpenVPN carries", lambda: _reaches(box), UP_WITHIN)
    return Ways(INNER["client"], INNER["server"], (processes["client"].pid, processes["server"].pid))


_NEBULA = """
pki: {{ca: {dir}/ca.crt, cert: {dir}/{name}.crt, key: {dir}/{name}.key}}
static_host_map: {{"{lighthouse}": ["{outside}:{port}"]}}
lighthouse: {{am_lighthouse: {leads}, hosts: [{hosts}]}}
listen: {{host: 0.0.0.0, port: {port}}}
tun: {{dev: neb0, mtu: 1440, tx_queue: 1000}}
firewall: {{outbound: [{{port: any, proto: any, host: any}}], inbound: [{{port: any, proto: any, host: any}}]}}
logging: {{level: warning}}
"""


def _nebula(box: Box) -> Ways:
    shared = Path(box.node("server").dir) / "nebula"
    shared.mkdir(mode=0o700, exist_ok=True)
    signer, quiet = [_program("nebula-cert")], {"cwd": shared, "check": True, "capture_output": True}
    subprocess.run([*signer, "ca", "-name", "bench"], **quiet)  # type: ignore[call-overload]
    processes = []
    for name in ("server", "client"):
        subprocess.run([*signer, "sign", "-name", name, "-ip", f"{INNER[name]}/24"], **quiet)  # type: ignore[call-overload]
        leads = name == "server"
        words = {"dir": shared, "name": name, "lighthouse": INNER["server"], "outside": SERVER, "port": PORT}
        text = _NEBULA.format(**words, leads=str(leads).lower(), hosts="" if leads else f'"{INNER["server"]}"')
        (shared / f"{name}.yml").write_text(text)
        with (shared / f"{name}.log").open("w") as log:
            command = [_program("nebula"), "-config", str(shared / f"{name}.yml")]
            processes.append(box.node(name).popen(command, stdout=log, stderr=log))
    wait_for("nebula carries", lambda: _reaches(box), UP_WITHIN)
    return Ways(INNER["client"], INNER["server"], tuple(process.pid for process in reversed(processes)))
