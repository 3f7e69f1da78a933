"""The ratchets: turned by time and by count, followed by the receiver, old keys refused (D4, D11)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import BugError
from morphnet.tunnel.keyring import GENERATION_STEP, HARD_LIMIT, LOOKAHEAD, OVERLAP, UNHEARD, ReceiveKeys, SendKeys
from morphnet.wire.core import Key

SECRET, OTHER = b"s" * 32, b"o" * 32


WORDS = (b"", b"p", b"p", 1), bytes(12), b"", b"", 1


def same(one: Key | None, two: Key | None) -> bool:
    """Whether both are the same key."""
    return one is not None and two is not None and one.seal(*WORDS) == two.seal(*WORDS)


class SendTests(SynchronousTestCase):
    def _keys(self, seconds: float = 120.0, packets: int = 1000) -> SendKeys:
        keys = SendKeys(seconds, packets)
        keys.install(SECRET, 64, 0.0)
        return keys

    def test_by_count(self) -> None:
        """No key seals more datagrams than the limit, however they are asked for."""
        keys = self._keys()
        for _ in range(1000):
            keys.take(64, 1.0)
            self.assertLessEqual(keys.used, 1000)
        self.assertEqual(keys.turns, 1000 // 15 - (1000 % 15 == 0))

    def test_by_time(self) -> None:
        """A key is left after its time, and the next one differs."""
        keys = self._keys()
        first, second = keys.take(1, 119.9), keys.take(1, 120.0)
        self.assertEqual(keys.epoch, 65)
        self.assertFalse(same(first, second))

    def test_hard_stop(self) -> None:
        """Whatever is configured, a key never seals more than 2^23 datagrams."""
        keys = self._keys(1e9, 1 << 60)
        keys.used = HARD_LIMIT - 1
        keys.take(1, 0.0)
        self.assertEqual((keys.epoch, keys.used), (64, HARD_LIMIT))
        keys.take(1, 0.0)
        self.assertEqual((keys.epoch, keys.used), (65, 1))

    def test_unheard(self) -> None:
        """While the peer is not heard the ratchet stops where it can still follow; then it goes on."""
        keys = self._keys()
        for minute in range(600):
            keys.take(1, minute * 60.0)
        self.assertEqual(keys.epoch, 64 + UNHEARD)
        self.assertLess(UNHEARD, LOOKAHEAD)
        keys.heard(36_000.0)
        keys.take(1, 36_000.0)
        self.assertEqual(keys.epoch, 65 + UNHEARD)

    def test_no_key(self) -> None:
        """Sealing before there is a key is our own mistake."""
        with self.assertRaises(BugError):
            SendKeys(1.0, 1).take(1, 0.0)


class AgeTests(SynchronousTestCase):
    """What is left of keys when nobody sends and nothing comes."""

    def setUp(self) -> None:
        self.sender, self.receiver = SendKeys(120.0, HARD_LIMIT), ReceiveKeys(120.0)
        self.sender.install(SECRET, 64, 0.0)
        self.receiver.install(SECRET, 64, 0.0)
        self.receiver.confirm(64, 0.0)

    def _age(self, until: float, begin: float = 0.0) -> None:
        """Both are called when they want to be, and not otherwise."""
        while (due := min(self.sender.due, self.receiver.due)) <= until:
            self.sender.age(max(begin, due))
            self.receiver.age(max(begin, due))

    def _first_left(self) -> int:
        """The oldest epoch of which the receiver has a key, or could make one."""
        return next((epoch for epoch in range(64, 200) if self.receiver.look(epoch, self.now)), -1)

    def test_timer(self) -> None:
        """180 s after its first use a key is gone, and what it could be made from; so it goes on, with nothing sent."""
        for self.now, first in ((179.0, 64), (180.0, 65), (299.0, 65), (300.0, 66), (420.0, 67), (539.0, 67)):
            self._age(self.now)
            self.assertEqual((self.now, self._first_left()), (self.now, first))

    def test_sender(self) -> None:
        """The sender has turned by the time that the receiver forgets, also when it has nothing to send."""
        for self.now in range(0, 540, 20):
            self._age(float(self.now))
            self.assertGreaterEqual(self.sender.epoch, self._first_left())
            self.assertTrue(self.receiver.look(self.sender.epoch, self.now))

    def test_sleep(self) -> None:
        """Of two that wake at once neither is behind the other, however long they slept."""
        for slept in (50.0, 185.0, 250.0, 400.0, 530.0):
            self.setUp()
            self.assertTrue(same(self.sender.take(1, slept), self.receiver.look(self.sender.epoch, slept)))

    def test_end(self) -> None:
        """After 540 s without the other end nothing is left, and nothing is due any more; new keys are as ever."""
        self._age(540.0)
        self.now = 540.0
        self.assertEqual((self._first_left(), self.sender.live, self.receiver.live), (-1, False, False))
        self.assertEqual(min(self.sender.due, self.receiver.due), float("inf"))
        self.sender.install(OTHER, 640, 541.0)
        self.receiver.install(OTHER, 640, 541.0)
        self.assertTrue(same(self.sender.take(1, 541.0), self.receiver.look(640, 541.0)))

    def test_before_it_opens(self) -> None:
        """Who wakes after a night opens nothing with the keys of the day before, timer or not."""
        self.assertIsNone(self.receiver.look(64, 30_000.0))
        self.assertEqual((self.receiver.live, self.receiver.matching(64, 8)), (False, ()))

    def test_in_use(self) -> None:
        """While both hear each other nothing ends, for a day."""
        for self.now in range(0, 86_400, 40):
            key = self.sender.take(1, float(self.now))
            self.assertTrue(same(self.receiver.look(self.sender.epoch, self.now), key))
            self.receiver.confirm(self.sender.epoch, self.now)
            self.sender.heard(self.now)
            self._age(float(self.now))
        self.assertGreater(self.sender.epoch, 64 + 86_400 // 120 - 20)

    def test_never_used(self) -> None:
        """Keys of a handshake that the other end never used are forgotten as well, at both ends."""
        self.sender.offer(OTHER, 128, 10.0)
        self.receiver.install(OTHER, 128, 10.0)
        for self.now in range(20, 1000, 20):
            self.sender.heard(self.now)
            self.receiver.confirm(self.sender.epoch, self.now)
            self._age(float(self.now))
        self.sender.peer_uses(128, 1000.0)
        self.assertNotEqual(self.sender.epoch, 128)
        self.assertIsNone(self.receiver.look(128, 1000.0))


class ReceiveTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sender, self.receiver = SendKeys(1e9, HARD_LIMIT), ReceiveKeys()
        self.sender.install(SECRET, 64, 0.0)
        self.receiver.install(SECRET, 64, 0.0)

    def _hear(self, now: float) -> bool:
        """One datagram passes; whether its epoch was news."""
        key = self.sender.take(1, now)
        self.assertTrue(same(self.receiver.look(self.sender.epoch, now), key))
        return self.receiver.confirm(self.sender.epoch, now)

    def test_matching(self) -> None:
        """The epochs that low bits may mean, the newest first: of the live keys, and of what may come in each chain."""
        self.assertEqual((self.receiver.matching(64, 8), self.receiver.matching(64, 23)), ((64,), (64,)))
        self.assertEqual(self.receiver.matching(64 + LOOKAHEAD, 8), (64 + LOOKAHEAD,))
        self.assertEqual((self.receiver.matching(65 + LOOKAHEAD, 8), self.receiver.matching(63, 8)), ((), ()))
        self._hear(0.0)
        self.receiver.install(OTHER, 64 + 256, 0.0)
        self.assertEqual(self.receiver.matching(64, 8), (64 + 256, 64))
        self.assertEqual(self.receiver.matching(64, 23), (64,))

    def test_old_key(self) -> None:
        """A key is accepted for a while beside its successor, and refused 180 seconds after its first use (D4)."""
        self._hear(0.0)
        self.sender.turn(120.0)
        self.assertTrue(self._hear(120.0))
        self.assertIsNotNone(self.receiver.look(64, 179.9))
        self.assertIsNone(self.receiver.look(64, 120.0 + OVERLAP))
        self.assertIsNone(self.receiver.look(64, 1000.0))
        self.assertFalse(self.receiver.confirm(64, 1000.0))

    @given(st.lists(st.integers(1, LOOKAHEAD), max_size=20))
    def test_missed_epochs(self, leaps: list[int]) -> None:
        """A receiver follows over epochs it never saw, and opens those that arrive late by a slower path."""
        self.setUp()
        for leap in leaps:
            before = self.sender.epoch
            skipped = []
            for _ in range(leap):
                skipped.append((self.sender.epoch, self.sender.take(1, 1.0)))
                self.sender.turn(1.0)
            self.assertTrue(self._hear(1.0))
            for epoch, key in skipped[1:] if before > 64 else skipped:
                self.assertTrue(same(self.receiver.look(epoch, 1.0 + OVERLAP / 2), key))

    def test_too_far(self) -> None:
        """Nobody makes us derive more than LOOKAHEAD keys."""
        self.assertIsNotNone(self.receiver.look(64 + LOOKAHEAD, 0.0))
        self.assertIsNone(self.receiver.look(65 + LOOKAHEAD, 0.0))
        self.assertIsNone(self.receiver.look((1 << 23) - 1, 0.0))
        self.assertIsNone(self.receiver.look(63, 0.0))

    def test_next_handshake(self) -> None:
        """The keys of a new handshake are accepted beside the old until they are used, and the old for a while more."""
        self._hear(0.0)
        self.receiver.install(OTHER, 64 + GENERATION_STEP, 0.0)
        self.sender.turn(1.0)
        self._hear(1.0)
        self.assertIsNotNone(self.receiver.look(64 + GENERATION_STEP, 1.0))
        self.sender.install(OTHER, 64 + GENERATION_STEP, 2.0)
        self.assertTrue(self._hear(2.0))
        self.assertIsNotNone(self.receiver.look(65, 3.0))
        self.assertIsNone(self.receiver.look(66, 3.0))
        self.assertIsNone(self.receiver.look(65, 2.0 + OVERLAP))

    def test_numbers_begin_again(self) -> None:
        """After very many handshakes epochs begin at a low number again."""
        self.receiver.install(OTHER, 1 << 22, 0.0)
        self.sender.install(OTHER, 1 << 22, 0.0)
        self._hear(0.0)
        self.receiver.install(SECRET, GENERATION_STEP, 0.0)
        self.sender.install(SECRET, GENERATION_STEP, 1.0)
        self.assertTrue(self._hear(1.0))
        self.assertEqual(self.receiver.epoch, GENERATION_STEP)
