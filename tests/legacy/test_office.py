"""The server's office."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import MalformedFrame, Refused
from morphnet.legacy.control import CLOSE, write_handshake
from morphnet.legacy.office import PRESENT, SIGN_OF_LIFE, Office
from morphnet.legacy.session import Session
from morphnet.legacy.templates import GAME, KCP, QUIC
from tests.legacy.test_control import HANDSHAKE, KEY
from tests.legacy.test_session import AWAY, HOME


class OfficeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.office = Office(KEY, 2, 1200.0, random.Random(1).randbytes)

    def test_open(self) -> None:
        """Handshakes and words; anything else is refused."""
        self.assertEqual(self.office.open(KEY.seal(write_handshake(HANDSHAKE))), HANDSHAKE)
        self.assertEqual(self.office.open(KEY.seal(CLOSE)), CLOSE)
        for datagram in (b"", b"x", KEY.seal("{}")):
            self.assertRaises(MalformedFrame, self.office.open, datagram)

    def test_begin(self) -> None:
        """One session for each id, which keeps what was drawn first; no more than there is room for."""
        session, fresh = self.office.begin(HANDSHAKE, HOME, now=0.0)
        again, anew = self.office.begin(replace(HANDSHAKE, template=3), AWAY, now=5.0)
        self.assertEqual((fresh, anew, again is session, session.peer), (True, False, True, AWAY))
        self.assertEqual(session.handshake, HANDSHAKE)
        self.office.begin(replace(HANDSHAKE, client=b"2" * 16), HOME, now=0.0)
        with self.assertRaises(Refused) as refused:
            self.office.begin(replace(HANDSHAKE, client=b"3" * 16), HOME, now=0.0)
        self.assertEqual(refused.exception.reason, "server_full")
        self.office.forget(session)
        self.office.begin(replace(HANDSHAKE, client=b"3" * 16), HOME, now=0.0)

    def test_of_data(self) -> None:
        """Data is known by what it shows, whatever it looks like; not when the session is over."""
        for template, client in ((QUIC, b"a" * 16), (KCP, b"b" * 16), (GAME, b"c" * 16)):
            handshake = replace(HANDSHAKE, template=template, client=client)
            session, _ = self.office.begin(handshake, HOME, now=0.0)
            (datagram,) = Session(handshake, AWAY, random.Random(2).randbytes, now=0.0).send(b"x", 1, now=0.0, millis=0)
            self.assertIs(self.office.of_data(datagram), session)
            self.office.forget(session)
            self.office.forget(session)
            self.assertIsNone(self.office.of_data(datagram))

    def test_at(self) -> None:
        """A client is found where it is, and where it has called from."""
        session, _ = self.office.begin(HANDSHAKE, HOME, now=0.0)
        session.peer = AWAY
        self.assertEqual([self.office.at(each) for each in (HOME, AWAY)], [session, session])
        self.assertIsNone(self.office.at(HOME._replace(port=1)))

    def test_time(self) -> None:
        """The silent end; those who hear nothing are to hear something, as long as they are there."""
        session, _ = self.office.begin(HANDSHAKE, HOME, now=0.0)
        self.assertEqual(self.office.waiting(SIGN_OF_LIFE - 1), [])
        self.assertEqual(self.office.waiting(SIGN_OF_LIFE), [session])
        self.assertEqual(self.office.waiting(PRESENT + 1), [])
        self.assertEqual((self.office.silent(1200.0), self.office.silent(1201.0)), ([], [session]))

    @given(some.binary(max_size=60))
    def test_anything(self, datagram: bytes) -> None:
        """Whatever comes to the control port is nobody's data."""
        self.assertIsNone(self.office.of_data(datagram))
