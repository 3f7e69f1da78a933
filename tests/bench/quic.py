"""
A download by QUIC as a program: one side gives bytes, the other counts them. aioquic speaks it at both ends.

    python -m tests.bench.quic give PORT [--congestion NAME]
    python -m tests.bench.quic take PORT HOST

Who takes prints a line every EVERY seconds from the first byte on, as lab/streams does. As RFC 9002 section 6.1.1 has
it, a packet is lost for who gives when one that was sent three later has arrived.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import json
import socket
import ssl
import sys
import threading

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import serve
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent, StreamDataReceived
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from morphnet.lab.streams import Count

DATAGRAM = 1280  # bytes of UDP payload: the most that aioquic sends
HEADERS = (
    1 + 8 + 2 + 16 + 1 + 1 + 8 + 2
)  # short header with connection id and number, tag; STREAM with id, offset, length
PAYLOAD = DATAGRAM - HEADERS  # bytes of a stream in a full datagram
WINDOW = 16 << 20  # bytes of flow control: it holds nothing back
_FORCED_BUFFER = 33  # SO_RCVBUFFORCE
KEPT = 4 << 20  # bytes of a socket's buffer
MOST = 256 << 20  # bytes that are given at most


def configuration(*, is_client: bool, congestion: str = "cubic") -> QuicConfiguration:
    """Of either end; nobody proves who he is, the lab has no strangers."""
    made = QuicConfiguration(
        is_client=is_client,
        alpn_protocols=["bytes"],
        congestion_control_algorithm=congestion,
        max_data=WINDOW,
        max_stream_data=WINDOW,
        max_datagram_size=DATAGRAM,
        verify_mode=ssl.CERT_NONE if is_client else None,
    )
    if not is_client:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "quic")])
        now = datetime.datetime.now(datetime.UTC)
        made.private_key = key
        made.certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
    return made


class _End(QuicConnectionProtocol):
    """Either: the kernel keeps for it what comes while it waits for a processor."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There is a socket."""
        for option in (socket.SO_RCVBUF, _FORCED_BUFFER):
            with contextlib.suppress(PermissionError):  # who is nobody has what the machine allows
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, option, KEPT)
        super().connection_made(transport)


class Giver(_End):
    """Gives zeros by whichever stream says anything."""

    def quic_event_received(self, event: QuicEvent) -> None:
        """Something came."""
        if isinstance(event, StreamDataReceived):
            self._quic.send_stream_data(event.stream_id, bytes(MOST))


class Taker(_End):
    """Counts what comes."""

    count: Count

    def quic_event_received(self, event: QuicEvent) -> None:
        """Something came."""
        if isinstance(event, StreamDataReceived):
            self.count.bytes += len(event.data)


async def give(port: int, congestion: str) -> None:
    """To whoever asks, until it is killed."""
    await serve("0.0.0.0", port, configuration=configuration(is_client=False, congestion=congestion),
                create_protocol=Giver)  # fmt: skip
    print(json.dumps({"listening": port}), flush=True)
    await asyncio.Event().wait()


async def take(port: int, host: str) -> None:
    """Until it is killed."""
    Taker.count = Count()
    threading.Thread(target=Taker.count.tell, daemon=True).start()
    async with connect(host, port, configuration=configuration(is_client=True), create_protocol=Taker) as taker:
        _, writer = await taker.create_stream()
        writer.write(b"please")
        await taker.wait_closed()


def main(arguments: list[str]) -> None:
    """Give or take, as the arguments say, until it is killed."""
    parser = argparse.ArgumentParser(prog="quic")
    parser.add_argument("kind", choices=("give", "take"))
    parser.add_argument("port", type=int)
    parser.add_argument("host", nargs="?")
    parser.add_argument("--congestion", default="cubic", choices=("cubic", "reno"))
    options = parser.parse_args(arguments)
    asyncio.run(give(options.port, options.congestion) if options.kind == "give" else take(options.port, options.host))


if __name__ == "__main__":
    main(sys.argv[1:])
