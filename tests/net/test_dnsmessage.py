"""Messages of the DNS, as they come and go."""

from __future__ import annotations

import struct
from typing import cast
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.dnsmessage import (
    LEAST_SIZE,
    MOST_SIZE,
    Answer,
    Question,
    _Reading,
    answer_bytes,
    answer_in,
    asked_in,
    own_answer,
    question_bytes,
    read,
    unfit_outside,
)
from morphnet.rendezvous.naming import Known
from tests.fakes_names import answering, question, said
from tests.fakes_names import read as read_whole

NAME = Question(b"wiki.Example", dns.A)


class DnsMessageTests(SynchronousTestCase):
    def test_asked(self) -> None:
        """A question is read with what its caller can take."""
        asked = asked_in(question("Laptop.Morph", dns.AAAA, 9))
        assert asked is not None
        self.assertEqual((asked.number, asked.question.text, asked.question.kind), (9, "laptop.morph", dns.AAAA))
        self.assertEqual((asked.size, asked.edns, asked.question.signatures), (LEAST_SIZE, False, False))
        asked = asked_in(question("x", size=4096, signed=True))
        assert asked is not None
        self.assertEqual((asked.size, asked.edns, asked.question.signatures), (MOST_SIZE, True, True))

    def test_no_question(self) -> None:
        """An answer, an update, two questions at once, none, or noise: not heeded."""
        update = dns.Message(1, opCode=5)
        update.queries = [dns.Query("x")]
        two = dns.Message(1)
        two.queries = [dns.Query("x"), dns.Query("y")]
        reply = answering("192.0.2.1")(read_whole(question("x")))
        for data in (b"", b"\0", b"\xff" * 40, dns.Message(1).toStr(), update.toStr(), two.toStr(), reply):
            self.assertIsNone(asked_in(cast(bytes, data)), data)

    @given(st.binary(max_size=80))
    def test_never_raises(self, tail: bytes) -> None:
        """Whatever comes is a message or none."""
        read(tail)
        asked_in(question("x")[:12] + tail)
        answer_in(b"\0\7\x84\0\0\1\0\1\0\1\0\1" + tail, NAME, 7)

    def test_names(self) -> None:
        """A name that could not be written down again as a question, for a dot in a label or its length, is none."""
        for labels in ((b"." + b"a" * 62, *[b"a" * 63] * 3), (b"a.", b"b"), (b"a" * 63,) * 4):
            name = b"".join(bytes((len(each),)) + each for each in labels)
            asked = struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + name + struct.pack("!BHH", 0, dns.A, dns.IN)
            self.assertIsNone(asked_in(asked), labels)
        longest = asked_in(question(b".".join((b"a" * 63, b"b" * 63, b"c" * 63, b"d" * 61))))
        self.assertIsNotNone(longest)
        self.assertIsNotNone(asked_in(question("")))

    def hostile(self, length: int, records: int) -> bytes:
        """An answer of so many records, all of one name of that length."""
        asked = NAME.name.split(b".")
        head = struct.pack("!6H", 3, 0x8180, 1, records, 0, 0)
        head += b"".join(bytes((len(each),)) + each for each in asked) + struct.pack("!BHH", 0, dns.A, dns.IN)
        tail = struct.pack("!HHIH", dns.A, dns.IN, 60, 4) + bytes((192, 0, 2, 1))
        name = b"\1a" * (length // 2) + b"\0"
        return head + name + tail + (struct.pack("!H", 0xC000 | len(head)) + tail) * (records - 1)

    def test_steps(self) -> None:
        """An answer whose every record leads to a name without end is left off early; many good ones are read."""
        steps, read_on = list[int](), _Reading.read

        def counted(data: _Reading, size: int | None = -1) -> bytes:
            steps.append(1)
            return read_on(data, size)

        with patch.object(_Reading, "read", counted):
            for length, records in ((3000, 300), (50000, 900), (300, 1)):
                self.assertIsNone(answer_in(self.hostile(length, records), NAME, 3), length)
            self.assertLess(len(steps), 200000)
            steps.clear()
            self.assertIsNone(answer_in(self.hostile(50000, 900), NAME, 4))  # not with this number
            self.assertEqual(len(steps), 0)
            for records, most in ((4, 600), (30, 0)):
                steps.clear()
                asked = bytearray(self.hostile(500, records))
                asked[2:4], asked[6:8], asked[10:12] = b"\1\0", b"\0\0", records.to_bytes(2, "big")
                self.assertIsNone(asked_in(bytes(asked)))
                self.assertLessEqual(len(steps), most)
        good = answer_in(self.hostile(8, 900), NAME, 3)
        assert good is not None
        self.assertEqual(len(good.answers), 900)

    def test_refused(self) -> None:
        """Transfers, ANY, and what is of no class that we know."""
        for data in (question("x", 252), question("x", 255), question("version.bind", dns.TXT, cls=3)):
            asked = asked_in(data)
            assert asked is not None
            self.assertTrue(asked.is_refused)
            refusal = read_whole(answer_bytes(asked, Answer(dns.EREFUSED), None))
            self.assertEqual((refusal.rCode, refusal.queries), (dns.EREFUSED, read_whole(data).queries))
        asked = asked_in(question("x"))
        assert asked is not None
        self.assertFalse(asked.is_refused)

    def test_answer(self) -> None:
        """An answer to another question, with another number, or of another name, is none."""
        asked = read_whole(question_bytes(NAME, 3))
        self.assertEqual((asked.id, asked.recDes, asked.additional[0].type), (3, 1, 41))
        good = cast(bytes, answering("192.0.2.1")(asked))
        answer = answer_in(good, NAME, 3)
        assert answer is not None
        self.assertEqual((len(answer.answers), answer.life()), (1, 60.0))
        self.assertIsNotNone(answer_in(good, Question(b"WIKI.example", dns.A), 3))  # some say it in other letters
        self.assertIsNone(answer_in(good, NAME, 4))
        self.assertIsNone(answer_in(good, Question(b"wiki.other", dns.A), 3))
        self.assertIsNone(answer_in(good, Question(NAME.name, dns.AAAA), 3))
        self.assertIsNone(answer_in(question_bytes(NAME, 3), NAME, 3))

    def test_life(self) -> None:
        """An absence lives as its SOA says; trouble, and what was cut, is not kept."""
        asked = read_whole(question_bytes(NAME, 3))

        def life(data: bytes | None) -> float:
            answer = answer_in(cast(bytes, data), NAME, 3)
            assert answer is not None
            return answer.life()

        self.assertEqual(life(answering(code=dns.ENAME, minimum=20)(asked)), 20.0)
        self.assertEqual(life(answering(code=dns.ENAME)(asked)), 0.0)
        self.assertEqual(life(answering(code=dns.ESERVER, minimum=20)(asked)), 0.0)
        self.assertEqual(life(answering("192.0.2.1", cut=True)(asked)), 0.0)

    def test_own(self) -> None:
        """What is asked for is said, an absence with how long that holds."""
        known, asked = Known(True, ("10.73.0.2", "fd73::2")), asked_in(question("laptop.morph", dns.AAAA))
        assert asked is not None
        data = answer_bytes(asked, own_answer(asked.question, known), None)
        self.assertEqual((said(data), read_whole(data).auth), ((dns.OK, ["fd73::2"]), 1))
        absent = own_answer(asked.question, Known(False))
        self.assertEqual((absent.code, absent.life()), (dns.ENAME, 30.0))
        other = own_answer(Question(b"laptop.morph", dns.MX), known)
        self.assertEqual((other.code, other.answers, other.life()), (dns.OK, [], 30.0))
        pointer = own_answer(Question(b"2.0.73.10.in-addr.arpa", dns.PTR), Known(True, pointer="laptop.morph"))
        self.assertEqual(said(answer_bytes(asked, pointer, None)), (dns.OK, ["laptop.morph"]))
        self.assertEqual(len(own_answer(Question(b"morph", dns.SOA), Known(True)).answers), 1)

    def test_size(self) -> None:
        """What is longer than the caller takes is left out, and said to be."""
        asked = asked_in(question("x"))
        assert asked is not None
        many = Answer(answers=[dns.RRHeader(b"x", dns.A, payload=dns.Record_A("192.0.2.1"))] * 60)
        data = answer_bytes(asked, many, asked.size)
        self.assertEqual((len(data) <= LEAST_SIZE, read_whole(data).trunc, read_whole(data).answers), (True, 1, []))
        self.assertEqual(len(said(answer_bytes(asked, many, None))[1]), 60)

    def test_unfit(self) -> None:
        """A name of the world leads neither to this machine nor to an inner address."""
        unfit = unfit_outside(("10.73.0.0/24", "fd73::/64"))
        for host in ("10.73.0.9", "fd73::9", "127.0.0.1", "::1", "0.0.0.0", "169.254.0.1", "::ffff:10.73.0.9"):
            self.assertTrue(unfit(host), host)
        for host in ("192.0.2.1", "10.74.0.1", "2001:db8::1"):
            self.assertFalse(unfit(host), host)
        records = [dns.RRHeader(b"x", dns.A, payload=dns.Record_A(host)) for host in ("10.73.0.9", "192.0.2.1")]
        answer = Answer(answers=records)
        self.assertEqual((answer.without(unfit), len(answer.answers)), (1, 1))

    def test_led_into(self) -> None:
        """Nor does it lead to a name of the network, which some look up next."""
        unfit = unfit_outside(())
        for target, taken in ((b"Laptop.Morph", 1), (b"morph", 1), (b"laptop", 1), (b"x.morph.example", 0)):
            for record in (dns.Record_CNAME(target), dns.Record_DNAME(target)):
                answer = Answer(answers=[dns.RRHeader(b"x.example", record.TYPE, payload=record)])
                self.assertEqual(answer.without(unfit), taken, target)
