"""Two peers who are introduced to each other, and who is not."""

from __future__ import annotations

from ipaddress import IPv4Address

from cryptography import x509
from OpenSSL import SSL, crypto
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.tls import POST_QUANTUM, Identity
from morphnet.roles.peers.peer_tls import Introducer
from morphnet.wire.messages.peer import Introduction, NotNow, encode
from tests.fakes_tls import CLIENT, INVITE, SERVER, FakeCa, serial_of
from tests.roles.peers.introductions import NAMES, Couple, End, talk
from tests.wire.messages.test_peer import GREETING


class IntroductionTests(SynchronousTestCase):
    """Two who know each other's names."""

    def setUp(self) -> None:
        self.couple = Couple()

    def assert_introduced(self, caller: End, called: End) -> None:
        """Both have a session, with each other, and the same keys."""
        self.assertEqual((caller.reasons, called.reasons), ([], []))
        self.assertEqual((caller.peers, called.peers), ([NAMES[False]], [NAMES[True]]))
        self.assertEqual((caller.session, called.session), (True, True))
        self.assertEqual(caller.key(), called.key())

    def test_introduced(self) -> None:
        """Two peers are introduced, over a post-quantum key exchange, and end up with the same keys."""
        caller, called = self.couple.ends()
        talk(caller, called)
        self.assert_introduced(caller, called)
        self.assertEqual((caller.introducer.group, called.introducer.group), (POST_QUANTUM, POST_QUANTUM))
        again = self.couple.ends()
        talk(*again)
        self.assertNotEqual(again[0].key(), caller.key())
        self.assertNotEqual(caller.introducer.export(b"probes", 64), caller.key())

    def test_in_pieces(self) -> None:
        """However the bytes are cut, and with nothing in between, the outcome is the same."""
        for size in (1, 7, 1000):
            caller, called = self.couple.ends()
            talk(caller, called, lambda _, data, size=size: [  # type: ignore[misc]
                piece for at in range(0, len(data), size) for piece in (data[at : at + size], b"")])  # fmt: skip
            self.assert_introduced(caller, called)

    def test_peer(self) -> None:
        """What the other's certificate says is known: name, serial, and network."""
        caller, called = self.couple.ends()
        talk(caller, called)
        peer = caller.introducer.peer
        assert peer is not None
        self.assertEqual((peer.name, peer.kind), ("phone", "client"))
        self.assertEqual(peer.serial, serial_of(self.couple.identities[False]))

    def test_group_required(self) -> None:
        """Without ML-KEM nobody is introduced, unless both ends allow it."""
        for pq, session in (("require", False), ("allow", True)):
            tls = {caller: self.couple.tls(caller) for caller in (True, False)}
            tls[False]._context.set_tmp_ecdh(crypto.get_elliptic_curve("prime256v1"))
            caller, called = (End(tls[which], caller=which, pq=pq) for which in (True, False))
            talk(caller, called)
            self.assertEqual((caller.session, called.session), (session, session))
            self.assertEqual(set(caller.reasons + called.reasons),
                             set() if session else {"key exchange is not post-quantum"})  # fmt: skip

    def test_tls_1_2(self) -> None:
        """Nothing below TLS 1.3 is spoken."""
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        old = SSL.Connection(context, None)
        old.set_connect_state()
        self.assertRaises(SSL.WantReadError, old.do_handshake)
        _, called = self.couple.ends()
        called.introducer.received(old.bio_read(1 << 14))
        self.assertEqual((called.session, len(called.reasons)), (False, 1))

    def test_closed(self) -> None:
        """After `close` nothing is told any more, and nothing said."""
        caller, called = self.couple.ends()
        talk(caller, called)
        called.introducer.close()
        caller.introducer.say(GREETING)
        called.introducer.received(caller.out.popleft())
        called.introducer.say(NotNow("busy"))
        called.introducer.received(b"nonsense")
        self.assertEqual((called.reasons, list(called.out)), ([], []))

    def test_closes_when_introduced(self) -> None:
        """A listener may close the introduction while it is told of it; what came along is not told."""

        class Shy(End):
            def introduced(self, introducer: Introducer) -> None:
                super().introduced(introducer)
                introducer.close()

        caller, called = self.couple.ends()[0], Shy(self.couple.tls(False), caller=False)
        talk(caller, called)
        self.assertEqual((called.peers, called.session, called.reasons), (["laptop"], False, []))

    def test_out_of_place(self) -> None:
        """What a peer says out of place, or as nonsense, ends the introduction; only once is it told."""
        for said in (lambda end: end.introducer.say(GREETING),
                     lambda end: end.introducer._connection.sendall(b"\xff\xff"),
                     lambda end: end.introducer._connection.sendall(b"\0\2{}")):  # fmt: skip
            caller, called = self.couple.ends()
            talk(caller, called)
            said(called)
            called.introducer._flush()
            for _ in range(2):
                caller.introducer.received(b"".join(called.out))
            self.assertEqual(len(caller.reasons), 1)

    def test_many_words(self) -> None:
        """Several messages in one piece come one by one, in order; after a close none of the rest."""

        class Patient(End):
            heard: list[str] = []

            def said(self, introducer: Introducer, message: Introduction) -> None:
                assert isinstance(message, NotNow)
                self.heard.append(message.reason)
                if message.reason == "3":
                    introducer.close()

        class Chatty(End):
            def introduced(self, introducer: Introducer) -> None:
                introducer._connection.sendall(b"".join(encode(NotNow(str(number))) for number in range(6)))

        caller, called = Chatty(self.couple.tls(True), caller=True), Patient(self.couple.tls(False), caller=False)
        talk(caller, called)
        self.assertEqual(Patient.heard, ["0", "1", "2", "3"])


class CertificateTests(SynchronousTestCase):
    """Those whose certificate is not good."""

    def setUp(self) -> None:
        self.couple = Couple()

    def assert_refused(self, identity: Identity, reason: str, *, caller: bool) -> None:
        """An end that shows this is refused by the other for `reason`; there is no session at either."""
        ends = self.couple.ends((caller, identity))
        talk(*ends)
        other = ends[caller]  # ends are (caller, called)
        self.assertEqual((other.reasons, other.peers), ([reason], []), (reason, caller))
        self.assertEqual([end.session for end in ends], [False, False])
        self.assertEqual(len(ends[not caller].reasons), 1)

    def test_refused(self) -> None:
        """Expired, future, foreign, nameless, and of another usage or name: refused, on either end."""
        for caller, name in NAMES.items():
            made = self.couple.ca.identity
            for identity, reason in (
                (made(name, CLIENT, days=(-2, -1)), "certificate expired"),
                (made(name, CLIENT, days=(1, 2)), "certificate not valid yet"),
                (made(name, SERVER), "certificate of a wrong usage"),
                (made(name, INVITE), "certificate of a wrong usage"),
                (made(name, CLIENT, names=()), "certificate without a name"),
                (made("mallory", CLIENT), "certificate of another name"),
                (made(name.upper(), CLIENT), "certificate of a name that no machine may have"),
                (made("10.73.0.3", CLIENT), "certificate of a name that no machine may have"),
                (made(name, CLIENT, names=[x509.IPAddress(IPv4Address("10.73.0.3")), x509.DNSName(name)]),
                 "certificate of a name that no machine may have"),
                (made("mallory", CLIENT, names=[x509.DNSName("mallory"), x509.DNSName(name)]),
                 "certificate of another name"),
            ):  # fmt: skip
                self.assert_refused(identity, reason, caller=caller)

    def test_usages(self) -> None:
        """A certificate with no usage, or with several, is nobody's."""
        for caller, name in NAMES.items():
            for usages in ((), (CLIENT, SERVER), (CLIENT, INVITE)):
                ends = self.couple.ends((caller, self.couple.ca.identity(name, *usages)))
                talk(*ends)
                self.assertEqual((len(ends[caller].reasons), ends[caller].peers), (1, []), usages)
                self.assertEqual([end.session for end in ends], [False, False])

    def test_foreign(self) -> None:
        """A certificate of another network, or one signed by it that says it is of ours, is refused."""
        for caller, name in NAMES.items():
            identity = FakeCa().identity(name, CLIENT, trust=self.couple.ca.pem)
            ends = self.couple.ends((caller, identity))
            talk(*ends)
            self.assertEqual((len(ends[caller].reasons), ends[caller].peers), (1, []))
            self.assertEqual([end.session for end in ends], [False, False])

    def test_revoked(self) -> None:
        """A revoked certificate is refused by either end, at every introduction."""
        for caller, identity in self.couple.identities.items():
            talk(*self.couple.ends())
            self.couple.revoked.add(serial_of(identity))
            self.assert_refused(identity, "certificate revoked", caller=caller)
            self.couple.revoked.clear()
