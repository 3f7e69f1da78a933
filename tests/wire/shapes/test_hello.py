"""The TLS messages of a handshake that is only seen, as aioquic reads them."""

from __future__ import annotations

import random

from aioquic.buffer import Buffer  # type: ignore[attr-defined]
from aioquic.quic.packet import pull_quic_transport_parameters
from aioquic.tls import ClientHello, ExtensionType, pull_client_hello, pull_server_hello
from twisted.trial.unittest import SynchronousTestCase

from morphnet.wire.shapes.hello import client_hello, server_hello, varint

_TRANSPORT, _EARLY_DATA = ExtensionType.QUIC_TRANSPORT_PARAMETERS, ExtensionType.EARLY_DATA


def read(sni: str, seed: int = 1) -> ClientHello:
    """What a client asks for who shows that name."""
    return pull_client_hello(Buffer(data=client_hello(sni, random.Random(seed).randbytes)))


class ClientHelloTests(SynchronousTestCase):
    def test_whole(self) -> None:
        """HTTP/3 at that name, TLS 1.3 alone, a public key, early data under a ticket, limits of a browser's size."""
        asked = read("www.example.org")
        self.assertEqual((asked.server_name, asked.alpn_protocols), ("www.example.org", ["h3"]))
        self.assertEqual((asked.supported_versions, asked.early_data), ([0x0304], True))
        self.assertEqual([len(key) for _, key in asked.key_share or ()], [32])
        assert asked.pre_shared_key is not None
        self.assertEqual((len(asked.pre_shared_key.identities), len(asked.pre_shared_key.binders)), (1, 1))
        told = dict(asked.other_extensions)[_TRANSPORT]
        limits = pull_quic_transport_parameters(Buffer(data=told))
        self.assertEqual((limits.initial_source_connection_id, limits.max_idle_timeout), (b"", 30_000))

    def test_no_name(self) -> None:
        """Who is called by an address is asked for no name."""
        self.assertIsNone(read("").server_name)

    def test_orders(self) -> None:
        """Extensions come in another order each time, the ticket always last; nothing random is the same twice."""
        one, other = (client_hello("a.example", random.Random(seed).randbytes) for seed in (1, 2))
        self.assertEqual(len(one), len(other))
        self.assertLess(sum(x == y for x, y in zip(one, other, strict=True)), len(one) / 2)
        self.assertIsNotNone(read("a.example", 2).pre_shared_key)  # aioquic refuses one that is not the last

    def test_public_key(self) -> None:
        """It is below 2^255, as each of X25519's is."""
        for seed in range(40):
            self.assertTrue(all(key[31] < 0x80 for _, key in read("a.example", seed).key_share or ()))


class ServerHelloTests(SynchronousTestCase):
    def test_whole(self) -> None:
        """TLS 1.3, one of the suites that were offered, and the ticket."""
        said = pull_server_hello(Buffer(data=server_hello(random.Random(1).randbytes)))
        self.assertEqual((said.supported_version, said.cipher_suite, said.pre_shared_key), (0x0304, 0x1301, 0))
        self.assertEqual(len(said.key_share[1]) if said.key_share else 0, 32)


class VarintTests(SynchronousTestCase):
    def test_vectors(self) -> None:
        """Those of RFC 9000, appendix A.1."""
        for value, text in (
            (151_288_809_941_952_652, "c2197c5eff14e88c"),
            (494_878_333, "9d7f3e7d"),
            (15_293, "7bbd"),
            (37, "25"),
        ):
            self.assertEqual(varint(value).hex(), text)
