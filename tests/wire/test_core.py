"""Both cores, with every cipher that this machine has, against each other: the same bytes, the same refusals."""

from __future__ import annotations

import threading
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.errors import Forged
from morphnet.wire import core as chosen
from morphnet.wire.batch import VNET_HDR
from morphnet.wire.core import PURE, Core, Key, cores
from morphnet.wire.shapes.shape import Coat
from tests.wire.shapes.test_masking import cipher_of
from tests.wire.test_segments import Naive, cut, supers

CORES = list(cores())
SECRET = bytes(range(32))
KEYS = [core.key(SECRET) for core in CORES]
TAG = 16


@st.composite
def layouts(draw: st.DrawFn) -> tuple[bytes, bytes, bytes, int]:
    """Fields, first header, ending header, bytes of additional data."""
    size = draw(st.integers(1, 64))
    fields, end = b"", 0
    while end < size and draw(st.booleans()):
        offset = draw(st.integers(end, size - 1))
        width = draw(st.integers(1, min(8, size - offset)))
        fields += bytes((offset, width, draw(st.integers(0, 255))))
        end = offset + width
    first, ending = (draw(st.binary(min_size=size, max_size=size)) for _ in range(2))
    return fields, first, ending, draw(st.integers(0, size))


@st.composite
def runs(draw: st.DrawFn) -> tuple[bytes, bytes, int]:
    """Head, body, size of a slice of it: 1 to 64 slices."""
    size = draw(st.one_of(st.integers(1, 40), st.integers(1000, 1400)))
    length = draw(st.integers(0, min(64 * size, 6000)))
    return draw(st.binary(max_size=80)), bytes(i * 7 & 0xFF for i in range(length)), size


nonces = st.one_of(st.binary(min_size=12, max_size=12), st.just(b"path" + b"\xff" * 7 + b"\xe0"))


def outcome(call: Callable[[], object]) -> object:
    """What it returned, or the type of what it raised."""
    try:
        return call()
    except (ValueError, Forged) as error:
        return type(error)


class AgreementTests(SynchronousTestCase):
    @given(layouts(), nonces, runs())
    def test_seal(self, layout: tuple[bytes, bytes, bytes, int], nonce: bytes, run: tuple[bytes, bytes, int]) -> None:
        """Every core seals a run to the same bytes."""
        sealed = [key.seal(layout, nonce, *run) for key in KEYS]
        self.assertEqual(sealed, [sealed[-1]] * len(KEYS))

    @given(layouts(), nonces, st.binary(max_size=100), st.data())
    def test_open(
        self, layout: tuple[bytes, bytes, bytes, int], nonce: bytes, text: bytes, data: st.DataObject
    ) -> None:
        """Every core opens what any core sealed; with any one bit flipped nobody does."""
        _, _, ending, aad = layout
        sealed = data.draw(st.sampled_from(KEYS)).seal(layout, nonce, b"", text, len(text) or 1)
        form = len(ending), aad
        self.assertEqual([key.open(form, nonce, sealed) for key in KEYS], [text] * len(KEYS))
        at = data.draw(st.integers(0, 8 * len(sealed) - 1))
        bent = bytearray(sealed)
        bent[at // 8] ^= 1 << at % 8
        unsealed = aad <= at // 8 < len(ending)  # neither data nor additional data
        for key in KEYS:
            self.assertEqual(outcome(lambda k=key: k.open(form, nonce, bent)), text if unsealed else Forged)  # type: ignore[misc]

    @given(layouts(), nonces, supers(), st.data())
    def test_open_run(
        self, layout: tuple[bytes, bytes, bytes, int], nonce: bytes, naive: Naive, data: st.DataObject
    ) -> None:
        """Every core joins slices that any core sealed to the same bytes; with any one bit flipped nobody does."""
        _, first, _, aad = layout
        run = cut(naive.from_kernel())
        sealed = data.draw(st.sampled_from(KEYS)).seal(layout, nonce, run.head, run.body, run.size)
        form, stride = (len(first), aad), len(first) + run.stride + TAG
        expected = bytes(VNET_HDR) + run.head + run.body, len(run.head)
        self.assertEqual([key.open_run(form, nonce, sealed, stride, 0) for key in KEYS], [expected] * len(KEYS))
        at = data.draw(st.integers(0, 8 * len(sealed) - 1))
        bent = bytearray(sealed)
        bent[at // 8] ^= 1 << at % 8
        unsealed = aad <= (at // 8) % stride < len(first)
        for key in KEYS:
            opened = outcome(lambda k=key: k.open_run(form, nonce, bent, stride, 0))  # type: ignore[misc]
            self.assertEqual(opened, expected if unsealed else Forged)

    @given(layouts(), nonces, runs(), st.integers(0, 255), st.binary(max_size=32))
    def test_seal_masked(
        self,
        layout: tuple[bytes, bytes, bytes, int],
        nonce: bytes,
        run: tuple[bytes, bytes, int],
        more: int,
        shown: bytes,
    ) -> None:
        """Every core seals and masks a run at once to what it is when it is masked afterwards."""
        head, body, size = run
        front, count = len(layout[1]), max(1, -(-len(body) // size))
        sealed = KEYS[-1].seal(layout, nonce, *run)
        stride = min(len(sealed), front + len(head) + size + TAG)
        blocks = -(-(len(shown) + 1 + front + more) // 16)
        stream = cipher_of(PURE.mask_samples(sealed, stride, front, blocks))
        expected = PURE.mask_dress(sealed, stride, front, stream, more, shown)
        coat = Coat(shown, more, cipher_of)
        self.assertEqual(len(expected), len(sealed) + count * coat.longer)
        for key in KEYS:
            self.assertEqual(key.seal_masked(layout, nonce, *run, coat), expected)

    @given(nonces, supers(), st.integers(0, 300), st.integers(0, 1), st.data())
    def test_gaps(self, nonce: bytes, naive: Naive, gap: int, whole: int, data: st.DataObject) -> None:
        """Datagrams with something between them are counted and opened as without; a bent one is forged."""
        fields, header, run = bytes((3, 4, 1)), bytes(range(9)), cut(naive.from_kernel())
        stride = len(header) + run.stride + TAG
        sealed = KEYS[-1].seal((fields, header, header, 9), nonce, run.head, run.body, run.size)
        rows = [sealed[at : at + stride] for at in range(0, len(sealed), stride)]
        spaced = bytearray(bytes(i & 0xFF for i in range(gap)).join(rows))
        if data.draw(st.booleans()):
            spaced[data.draw(st.integers(0, len(spaced) - 1))] ^= 1
        taken = b"".join(bytes(spaced[at : at + stride]) for at in range(0, len(spaced), stride + gap))
        how = fields, 9, 8, -1, 9, 0
        for core, key in zip(CORES, KEYS, strict=True):
            self.assertEqual(
                core.count_following(how, spaced, stride + gap, gap, 64),
                core.count_following(how, taken, stride, 0, 64),
            )
            for way in (key.open_run, key.open_all, lambda *words, k=key: k.open_whole(*words, whole)):
                self.assertEqual(
                    outcome(lambda w=way: w((9, 9), nonce, spaced, stride + gap, gap)),  # type: ignore[misc]
                    outcome(lambda w=way: w((9, 9), nonce, taken, stride, 0)),  # type: ignore[misc]
                )

    @given(layouts(), st.integers(1, 64), st.integers(0, 40), st.integers(0, 70), st.data())
    def test_count(
        self, layout: tuple[bytes, bytes, bytes, int], count: int, short: int, most: int, data: st.DataObject
    ) -> None:
        """Every core counts the same, in rows that are whole, cut short, ended early, or bent at one bit."""
        fields, first, _, aad = layout
        flags_at, last = data.draw(st.integers(0, len(first) - 1)), data.draw(st.sampled_from([0, 4]))
        length_at = data.draw(st.integers(-1, len(first) - 2))
        size = len(first) + TAG + data.draw(st.integers(0, 40))
        ending = bytearray(first)
        ending[flags_at] |= last
        row = bytearray()
        for step in range(count):
            front = fields, first, bytes(ending) if step == count - 1 else first, 0
            text = KEYS[-1].seal(front, bytes(12), b"", bytes(step + 1), 1)
            row += text[(len(first) + 1 + TAG) * step :][: len(first)].ljust(size, b"x")
        del row[max(size, len(row) - short) :]
        if data.draw(st.booleans()):
            at = data.draw(st.integers(0, 8 * len(row) - 1))
            row[at // 8] ^= 1 << at % 8
        how = fields, len(first), flags_at, length_at, aad, last
        counts = [core.count_following(how, row, size, 0, most) for core in CORES]
        self.assertEqual(counts, [counts[-1]] * len(CORES))
        self.assertLessEqual((counts[0] - 1) * size, len(row))

    @given(st.data())
    def test_bad_arguments(self, data: st.DataObject) -> None:
        """Whatever the arguments, every core answers the same, or raises the same ValueError or Forged."""
        some = st.one_of(st.integers(-3, 80), st.sampled_from([-(2**62), 2**62, 65535, 65536, 131071]))
        texts = st.one_of(st.binary(max_size=100), st.sampled_from([bytes(12), bytes(64), bytes(1200), bytes(140000)]))
        fields, first, ending, nonce, head, body = (data.draw(texts) for _ in range(6))
        aad, size, header, flags_at, length_at, gap = (data.draw(some) for _ in range(6))
        calls: list[Callable[[Core, Key], object]] = [
            lambda _, key: key.seal((fields, first, ending, aad), nonce, head, body, size),
            lambda _, key: key.seal_masked(
                (fields, first, ending, aad), nonce, head, body, size, Coat(fields, gap, cipher_of)
            ),
            lambda _, key: key.open((header, aad), nonce, body),
            lambda _, key: key.open_all((header, aad), nonce, body, size, gap),
            lambda _, key: key.open_run((header, aad), nonce, body, size, gap),
            lambda _, key: key.open_whole((header, aad), nonce, body, size, gap, 8),
            lambda core, _: core.count_following((fields, header, flags_at, length_at, aad, 4), body, size, gap, 64),
        ]
        for call in calls:
            answers = [outcome(lambda c=call, w=words: c(*w)) for words in zip(CORES, KEYS, strict=True)]  # type: ignore[misc]
            self.assertEqual(answers, [answers[-1]] * len(CORES))


class KeyTests(SynchronousTestCase):
    def test_secret(self) -> None:
        """A key has 32 bytes."""
        for core in CORES:
            for size in (0, 16, 31, 33):
                with self.assertRaises(ValueError):
                    core.key(bytes(size))

    def test_known_answer(self) -> None:
        """AES-256-GCM as NIST's test vectors have it (SP 800-38D; McGrew and Viega, test cases 13 and 14)."""
        for core in CORES:
            key = core.key(bytes(32))
            self.assertEqual(
                key.seal((b"", b"p", b"p", 0), bytes(12), b"", b"", 1)[1:].hex(), "530f8afbc74536b9a963b4f1c4cb738b"
            )
            self.assertEqual(
                key.seal((b"", b"p", b"p", 0), bytes(12), b"", bytes(16), 16)[1:].hex(),
                "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
            )

    def test_many(self) -> None:
        """Keys come and go, and do not disturb one another."""
        for core in CORES:
            keys = [core.key(bytes((number,)) * 32) for number in range(200)]
            sealed = [key.seal((b"", b"p", b"p", 1), bytes(12), b"", b"text", 4) for key in keys]
            self.assertEqual(len({bytes(each) for each in sealed}), 200)
            del keys[::2]
            again = [key.seal((b"", b"p", b"p", 1), bytes(12), b"", b"text", 4) for key in keys]
            self.assertEqual(again, sealed[1::2])

    def test_threads(self) -> None:
        """A key used by two threads at once gives right answers or RuntimeError, never wrong ones."""
        for core in CORES:
            self._race(core)

    def _race(self, core: Core) -> None:
        key, body = core.key(SECRET), bytes(64 * 1000)
        words = (bytes((0, 2, 1)), bytes(4), bytes(4), 4), bytes(12), b"head", body, 1000
        right, wrong = PURE.key(SECRET).seal(*words), list[object]()

        def work() -> None:
            for _ in range(50):
                try:
                    if key.seal(*words) != right:
                        wrong.append("other bytes")
                except RuntimeError:
                    continue

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])

    def test_all_in_use(self) -> None:
        """Whatever cipher can be loaded here is right: none was left out because it failed its trial."""
        compiled = chosen._core  # type: ignore[attr-defined]  # None where it was not built
        if compiled is None:
            self.assertEqual(CORES, [PURE])
            return
        loaded = [name for name, *where in chosen._CIPHERS if compiled.load(*where) is not None]
        self.assertEqual([core.name for core in CORES], [*(f"compiled (AES-GCM by {name})" for name in loaded), "pure"])
