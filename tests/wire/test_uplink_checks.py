"""What an uplink is asked, and what counts as an answer."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase

from morphnet.wire import uplink_checks as checks

TOKENS = st.binary(min_size=checks.TOKEN, max_size=checks.TOKEN)
NUMBERS = st.integers(0, 0xFFFF)


def answer_to(question: bytes, code: int, *records: dns.RRHeader) -> bytes:
    """As another implementation writes it."""
    asked = dns.Message()
    asked.fromStr(question)
    answer = dns.Message(asked.id, answer=True, rCode=code)
    answer.queries, answer.answers = asked.queries, list(records)
    return answer.toStr()


class EchoTests(SynchronousTestCase):
    @given(token=TOKENS, number=NUMBERS)
    def test_round_trip(self, token: bytes, number: int) -> None:
        """The answer to an echo brings its token back; the echo itself is no answer, and its checksum is right."""
        asked = checks.echo_request(4, number, token)
        total = sum(struct.unpack(f"!{len(asked) // 2}H", asked))
        self.assertEqual((total & 0xFFFF) + (total >> 16) & 0xFFFF or 0xFFFF, 0xFFFF)
        self.assertIsNone(checks.echoed(4, asked))
        reply = b"\0" + asked[1:]
        self.assertEqual(checks.echoed(4, reply), token)
        self.assertEqual(checks.echoed(4, b"\x45" + bytes(19) + reply), token)
        asked = checks.echo_request(6, number, token)
        self.assertIsNone(checks.echoed(6, asked))
        self.assertEqual(checks.echoed(6, b"\x81" + asked[1:]), token)


class NameTests(SynchronousTestCase):
    @given(token=TOKENS, number=NUMBERS, other=NUMBERS)
    def test_denied(self, token: bytes, number: int, other: int) -> None:
        """That the name does not exist is an answer; an address for it is none, nor is an answer to somebody else."""
        question = checks.name_question(number, token)
        right = answer_to(question, dns.ENAME)
        self.assertTrue(checks.denied(right, number, token))
        self.assertEqual(checks.denied(right, other, token), other == number)
        self.assertFalse(checks.denied(right, number, bytes(checks.TOKEN - 1) + b"!"))
        self.assertFalse(checks.denied(question, number, token))
        lie = dns.RRHeader(b"x.invalid", dns.A, payload=dns.Record_A("192.0.2.1"))
        self.assertFalse(checks.denied(answer_to(question, dns.OK, lie), number, token))
        self.assertFalse(checks.denied(answer_to(question, dns.ESERVER), number, token))

    @given(token=TOKENS, other=TOKENS)
    def test_nobody(self, token: bytes, other: bytes) -> None:
        """A new name each time, under a real domain: a resolver on the way has to ask others about it."""
        names = []
        for each in (token, other):
            asked = dns.Message()
            asked.fromStr(checks.name_question(7, each))
            names.append(asked.queries[0].name.name)
        self.assertTrue(all(name.endswith(b".com") and name.count(b".") == 1 for name in names))
        self.assertEqual(names[0] == names[1], token == other)

    @given(number=NUMBERS, address=st.ip_addresses())
    def test_who(self, number: int, address: object) -> None:
        """The address that a name server sees us at."""
        question = checks.who_question(number)
        record = dns.RRHeader(b"whoami.cloudflare", dns.TXT, 3, payload=dns.Record_TXT(str(address).encode()))
        self.assertEqual(checks.who_answer(answer_to(question, dns.OK, record), number), str(address))
        other = dns.RRHeader(b"whoami.cloudflare", dns.TXT, 3, payload=dns.Record_TXT(b"hello"))
        self.assertEqual(checks.who_answer(answer_to(question, dns.OK, other), number), "")
        self.assertEqual(checks.who_answer(answer_to(question, dns.OK), number), "")

    @given(data=st.binary(max_size=200), token=TOKENS, cut=st.integers(0, 80))
    def test_garbage(self, data: bytes, token: bytes, cut: int) -> None:
        """Whatever comes proves nothing, and breaks nothing."""
        record = dns.RRHeader(b"whoami.cloudflare", dns.TXT, 3, payload=dns.Record_TXT(b"192.0.2.1"))
        torn = answer_to(checks.who_question(7), dns.OK, record)[:cut]
        for each in (data, torn, torn + data, checks.who_question(7) + data):
            self.assertFalse(checks.denied(each, 7, token))
            self.assertIsInstance(checks.who_answer(each, 7), str)
            self.assertNotEqual(checks.echoed(4, each), token)
            self.assertNotEqual(checks.echoed(6, each), token)


class PageTests(SynchronousTestCase):
    def test_page(self) -> None:
        """A page, a way to one and "sign in first" are pages; a proxy that reached nobody is none."""
        for code, page in ((200, True), (302, True), (511, True), (502, False), (504, False), (404, False)):
            self.assertEqual(checks.is_page(b"HTTP/1.1 %d So" % code), page)
        self.assertFalse(checks.is_page(b"SSH-2.0-OpenSSH"))
        self.assertFalse(checks.is_page(b""))
