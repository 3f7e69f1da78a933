"""
Asks two ports of a server the same, and tells where their answers differ.

    python -m tests.lab.probes HOST PORT BARE NUMBER RECORDED

RECORDED is a file with one line of hexadecimal digits for each stream of bytes that was seen on its way to PORT.
Answers are compared byte for byte, but for the date and what is random in TLS. One JSON line.
"""

from __future__ import annotations

import datetime
import json
import random
import re
import socket
import ssl
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

FIRST, IDLE = 1.0, 0.3  # seconds for the first byte of an answer, and without another one after which it is over
SLOWLY = 3.0  # the same, when two answers differ: the machine may have been busy
AT_ONCE = 64
TIMES = 5  # that one is asked again
MOST_AGAIN = 10  # that are asked again slowly; more of them are no accident
PATHS = (
    "/",
    "/index.html",
    "/morphnet",
    "/morphnet/",
    "/morphnet?a=1",
    "/Morphnet",
    "/morph",
    "/%6dorphnet",
    "//morphnet",
)
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "BREW")
UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
OURS = UPGRADE + "Sec-WebSocket-Protocol: morphnet.stream.1\r\n"
OURS_BY_WEB = UPGRADE + "Sec-WebSocket-Protocol: morphnet.web.1\r\nCookie: session=aaaa\r\n"
FIELDS = (
    "",
    UPGRADE,
    OURS,
    OURS_BY_WEB,
    "Upgrade: h2c\r\nConnection: Upgrade\r\n",
    "Upgrade: websocket\r\n",
    "X-Client-Cert: x\r\n",
)
Probe = tuple[str, bool, bool, bytes]  # its kind; within TLS; with a certificate; what is sent


def stranger(place: Path) -> tuple[Path, Path]:
    """A certificate of nobody, and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "laptop")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(5).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    certificate, secret = place / "cert.pem", place / "key.pem"
    certificate.write_bytes(builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, secret


def hello() -> bytes:
    """The first flight of somebody's TLS."""
    context = ssl.create_default_context()
    came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
    there = context.wrap_bio(came, goes, server_hostname="gw.example")
    try:
        there.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return goes.read()


def http(chance: random.Random) -> bytes:
    """A request, right or nearly so."""
    body = chance.randbytes(chance.choice((0, 0, 1, 100)))
    version = chance.choice(("1.1", "1.1", "1.1", "1.0", "0.9", "3.7"))
    line = f"{chance.choice(METHODS)} {chance.choice(PATHS)} HTTP/{version}"
    fields = f"Host: {chance.choice(('gw.example', '203.0.113.1', 'x'))}\r\n{chance.choice(FIELDS)}"
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    whole = f"{line}\r\n{fields}{length}\r\n".encode() + body
    return chance.choice((whole, whole, whole, whole, whole[: chance.randrange(1, len(whole))], whole + whole))


def websocket(chance: random.Random) -> bytes:
    """What a client of ours would ask for, by somebody who is none."""
    return f"GET /morphnet HTTP/1.1\r\nHost: x\r\n{chance.choice((OURS, OURS_BY_WEB))}\r\n".encode()


def made(number: int, recorded: list[bytes], chance: random.Random) -> list[Probe]:
    """As many of each kind."""
    greeting = hello()
    kinds: list[Callable[[], Probe]] = [
        lambda: ("random", False, False, chance.randbytes(chance.randrange(1, 1500))),
        lambda: ("random in TLS", True, False, chance.randbytes(chance.randrange(1, 1500))),
        lambda: ("HTTP without TLS", False, False, http(chance)),
        lambda: ("HTTP", True, False, http(chance)),
        lambda: ("HTTP of a stranger with a certificate", True, True, http(chance)),
        lambda: ("WebSocket of a stranger", True, True, websocket(chance)),
        lambda: ("TLS that breaks off", False, False, greeting[: chance.randrange(1, len(greeting))]),
        lambda: ("TLS", False, False, greeting),
        lambda: ("replay", False, False, chance.choice(recorded)),
        lambda: ("HTTP/2", True, False, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)),
    ]
    return [kinds[turn % len(kinds)]() for turn in range(number)]


def answer(place: tuple[str, int], probe: Probe, pair: tuple[Path, Path], slowly: float = 0.0) -> bytes:
    """What comes back, and how it ends."""
    _, encrypted, shows, data = probe
    found, ends = b"", b"<open>"
    with socket.create_connection(place, 10.0) as plain:
        there: socket.socket = plain
        try:
            if encrypted:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                if shows:
                    context.load_cert_chain(*pair)
                there = context.wrap_socket(plain, server_hostname="gw.example")
            there.sendall(data)
            there.settimeout(slowly or FIRST)
            while True:
                piece = there.recv(65536)
                if not piece:
                    ends = b"<closed>"
                    break
                found += piece
                there.settimeout(slowly or IDLE)
        except TimeoutError:
            pass
        except OSError as trouble:
            ends = f"<{type(trouble).__name__}>".encode()
    return comparable(found) + ends


def both_ways(
    ours: tuple[str, int], bare: tuple[str, int], probe: Probe, pair: tuple[Path, Path]
) -> tuple[set[bytes], set[bytes]]:
    """
    What came back from each, asked slowly and again until they agree: a web server that closes while something has come
    that it has not read resets the connection, and whether it has is chance at the bare one too.
    """
    one, other = set[bytes](), set[bytes]()
    for _ in range(TIMES):
        one.add(answer(ours, probe, pair, SLOWLY))
        other.add(answer(bare, probe, pair, SLOWLY))
        if one & other:
            break
    return one, other


def comparable(found: bytes) -> bytes:
    """Without what is never the same twice."""
    if not found.startswith(b"\x16"):
        return re.sub(rb"(?m)^(Date|Last-Modified): [^\r]*", rb"\1: -", found)
    records, at = [], 0
    while at + 5 <= len(found):
        size = int.from_bytes(found[at + 3 : at + 5], "big")
        records.append(f"{found[at]}:{size if found[at] == 22 else '-'}")
        at += 5 + size
    return " ".join(records).encode()


def main() -> None:
    host, port, bare, number, seen = sys.argv[1:]
    recorded = [bytes.fromhex(line) for line in Path(seen).read_text().split()]
    probes = made(int(number), recorded, random.Random(13))
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(AT_ONCE) as pool:
        pair = stranger(Path(place))
        ours, theirs = (
            list(pool.map(lambda probe, at=at: answer((host, int(at)), probe, pair), probes)) for at in (port, bare)
        )
        differ, doubtful = [], [probe for probe, one, other in zip(probes, ours, theirs, strict=True) if one != other]
        for probe in doubtful[:MOST_AGAIN]:
            one, other = both_ways((host, int(port)), (host, int(bare)), probe, pair)
            if not one & other:
                shown = probe[3], b" or ".join(sorted(one)), b" or ".join(sorted(other))
                differ.append((probe[0], *(each[:200].decode("latin-1") for each in shown)))
    kinds = {kind: sum(probe[0] == kind for probe in probes) for kind in dict.fromkeys(probe[0] for probe in probes)}
    told = sorted({each[:24].decode("latin-1") for each in ours})
    print(
        json.dumps(
            {
                "probes": len(probes),
                "kinds": kinds,
                "differ": differ[:5],
                "different": len(differ) + len(doubtful[MOST_AGAIN:]),
                "told": told,
            }
        )
    )


if __name__ == "__main__":
    main()
