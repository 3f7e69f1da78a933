"""
The part of a router at home that gives out ports: PCP and NAT-PMP in, nftables rules out. Runs inside a NAT node.

    python -m morphnet.lab.portmapper --inside lan --outside wan --address 198.51.100.2 [--speaks pcp,pmp]

Prints "ready", then a JSON line for every change: {"mappings": [...]}. Ends by SIGTERM, and takes its rules with it. It
reads and writes both protocols in words of its own, since the lab stands apart from the product.

Source: RFC 6887 sections 7 to 11 and 15; RFC 6886 section 3.
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import struct
import sys
import time
from collections.abc import Collection
from dataclasses import dataclass, replace

from morphnet.lab import nft

PORT = 5351
FIRST_PORT, LAST_PORT = 49152, 65535  # given out when the one asked for is taken
SHORTEST, LONGEST = 2, 7200  # seconds of a mapping's life; RFC 6887 says 120, tests cannot wait that long
TICK = 0.2  # seconds between looks for what has ended
REFUSED_FOR = 30  # seconds that a refusal is said to hold
_UNSUPPORTED_VERSION, _NOT_AUTHORIZED, _PCP_MALFORMED, _PCP_OPCODE, _PMP_OPCODE = 1, 2, 3, 4, 5
_NO_RESOURCES, _ADDRESS_MISMATCH = 8, 12
_V4 = bytes(10) + b"\xff\xff"
_PROTOCOLS = (6, 17)


@dataclass(frozen=True, slots=True)
class Lease:
    """One mapping, and until when."""

    mapping: nft.Mapping
    nonce: bytes  # b"" when it was asked for by NAT-PMP
    ends_at: float  # the clock


class Leases:
    """
    Who has which port outside.

    :param longest: seconds that a mapping may live.
    """

    def __init__(self, longest: int = LONGEST) -> None:
        self.longest = longest
        self._leases: dict[tuple[int, str, int], Lease] = {}  # by protocol, host, port inside

    def mappings(self) -> list[nft.Mapping]:
        """All that hold."""
        return [lease.mapping for lease in self._leases.values()]

    def grant(self, wanted: nft.Mapping, nonce: bytes, lifetime: int, now: float) -> tuple[int, int]:
        """
        Make, prolong or (lifetime 0) remove a mapping: result code of PCP, and the port outside.

        :param wanted: its port outside is a wish, 0 for none.
        """
        key = (wanted.protocol, wanted.host, wanted.port)
        had = self._leases.get(key)
        if had is not None and had.nonce != nonce:
            return _NOT_AUTHORIZED, 0
        if not lifetime:
            self._leases.pop(key, None)
            return 0, 0
        port = had.mapping.outside_port if had else self._free(wanted)
        if not port:
            return _NO_RESOURCES, 0
        self._leases[key] = Lease(replace(wanted, outside_port=port), nonce, now + self.life(lifetime))
        return 0, port

    def life(self, lifetime: int) -> int:
        """Seconds that who asks for so many gets."""
        return min(max(lifetime, SHORTEST), self.longest) if lifetime else 0

    def expire(self, now: float) -> None:
        """Remove what was not prolonged."""
        self._leases = {key: lease for key, lease in self._leases.items() if lease.ends_at > now}

    def _free(self, wanted: nft.Mapping) -> int:
        taken = {each.outside_port for each in self.mappings() if each.protocol == wanted.protocol}
        if wanted.outside_port and wanted.outside_port not in taken:
            return wanted.outside_port
        return next((port for port in range(FIRST_PORT, LAST_PORT + 1) if port not in taken), 0)


class PortMapper:
    """
    Answers requests.

    :param address: the router's, outside.
    :param speaks: of "pcp" and "pmp"; a request in the other is answered with "unsupported version".
    :param started_at: the clock, when it knew of no mapping.
    """

    def __init__(self, address: str, leases: Leases, speaks: Collection[str], started_at: float) -> None:
        self._address, self.leases, self._speaks, self._started_at = address, leases, speaks, started_at

    def answer(self, request: bytes, source: str, now: float) -> bytes | None:
        """What to say to `source`; None for nothing."""
        if len(request) < 2 or request[1] & 0x80:
            return None
        epoch = int(now - self._started_at)
        if request[0] == 2 and "pcp" in self._speaks:
            return self._pcp(request, source, now, epoch)
        if request[0] == 0 and "pmp" in self._speaks:
            return self._pmp(request, source, now, epoch)
        if "pcp" in self._speaks:
            return struct.pack("!BBxBII12x", 2, request[1] | 0x80, _UNSUPPORTED_VERSION, REFUSED_FOR, epoch)
        return struct.pack("!BBHI", 0, request[1] | 0x80, _UNSUPPORTED_VERSION, epoch)

    def _pcp(self, request: bytes, source: str, now: float, epoch: int) -> bytes | None:
        if len(request) < 24:
            return None
        opcode, lifetime = request[1], int.from_bytes(request[4:8], "big")

        def said(result: int, life: int, body: bytes) -> bytes:
            return struct.pack("!BBxBII12x", 2, opcode | 0x80, result, life, epoch) + body

        if opcode != 1:
            return said(_PCP_OPCODE, REFUSED_FOR, request[24:])
        if len(request) != 60 or request[36] not in _PROTOCOLS:
            return said(_PCP_MALFORMED, REFUSED_FOR, request[24:])
        if request[8:24] != _V4 + socket.inet_aton(source):
            return said(_ADDRESS_MISMATCH, REFUSED_FOR, request[24:])
        inside, wish = struct.unpack_from("!HH", request, 40)
        wanted = nft.Mapping(request[36], wish, source, inside)
        result, port = self.leases.grant(wanted, request[24:36], lifetime, now)
        if result:
            return said(result, REFUSED_FOR, request[24:])
        given = struct.pack("!H", port) + _V4 + socket.inet_aton(self._address)
        return said(0, self.leases.life(lifetime), request[24:42] + given)

    def _pmp(self, request: bytes, source: str, now: float, epoch: int) -> bytes | None:
        opcode = request[1]
        if opcode == 0:
            return struct.pack("!BBHI", 0, 128, 0, epoch) + socket.inet_aton(self._address)
        if opcode not in (1, 2):
            return struct.pack("!BBHI", 0, 128 + opcode, _PMP_OPCODE, epoch)
        if len(request) != 12:
            return None
        inside, wish, lifetime = struct.unpack_from("!HHI", request, 4)
        wanted = nft.Mapping(17 if opcode == 1 else 6, wish, source, inside)
        result, port = self.leases.grant(wanted, b"", lifetime, now)
        code = 4 if result == _NO_RESOURCES else result
        life = 0 if result else self.leases.life(lifetime)
        return struct.pack("!BBHIHHI", 0, 128 + opcode, code, epoch, inside, port, life)


class Router:
    """The port mapper at work: its socket, and its rules in the kernel."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._outside, self._address = options.outside, options.address
        self._leases = Leases(options.longest)
        self._mapper = PortMapper(options.address, self._leases, options.speaks.split(","), time.monotonic())
        self._door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._door.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, options.inside.encode())
        self._door.bind(("", PORT))
        self._door.settimeout(TICK)
        self._shown: list[nft.Mapping] = []
        self.ended = False

    def run(self) -> None:
        """Until `ended`."""
        while not self.ended:
            try:
                request, source = self._door.recvfrom(2048)
            except TimeoutError:
                request, source = b"", ("", 0)
            now = time.monotonic()
            self._leases.expire(now)
            answer = self._mapper.answer(request, source[0], now)
            self._show(self._leases.mappings())  # before the answer: what is promised must hold
            if answer is not None:
                self._door.sendto(answer, source)
        self._show([])

    def _show(self, mappings: list[nft.Mapping]) -> None:
        if mappings == self._shown:
            return
        nft.apply(nft.mapped(self._outside, self._address, mappings))
        self._shown = mappings
        told = [[each.protocol, each.outside_port, each.host, each.port] for each in mappings]
        print(json.dumps({"mappings": told}), flush=True)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="portmapper", description="give out ports by PCP and NAT-PMP")
    parser.add_argument("--inside", required=True, help="device to listen on")
    parser.add_argument("--outside", required=True, help="device to the internet")
    parser.add_argument("--address", required=True, help="own address there")
    parser.add_argument("--speaks", default="pcp,pmp", help="one of both, or both")
    parser.add_argument("--longest", type=int, default=LONGEST, help="seconds that a mapping may live")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Serve until SIGTERM."""
    router = Router(_options(arguments))

    def end(*_: object) -> None:
        router.ended = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    print("ready", flush=True)
    router.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
