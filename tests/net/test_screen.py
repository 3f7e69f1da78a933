"""The filter that a listening socket gets, run as the kernel would run it. That the kernel takes it: tests/lab."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.blocks import Block, blocks_of
from morphnet.net.screen import Instruction, program

MOST = 4096  # instructions that the kernel takes, BPF_MAXINSNS
BLOCKS = st.tuples(st.integers(0, (1 << 128) - 1), st.integers(1, 64))
SYN, ACK, SYN_ACK = 0x02, 0x10, 0x12


def passes(code: Sequence[Instruction], source: str, flags: int = SYN, chance: float = 0.0) -> bool:
    """
    Whether a segment of TCP from there passes.

    :param chance: the random number, 0 .. 1.
    """
    six = ":" in source
    header = bytearray(40 if six else 20)
    at = 8 if six else 12
    packed = socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, source)
    header[at : at + len(packed)] = packed
    segment = bytes(13) + bytes([flags]) + bytes(6)
    place = held = 0
    while True:
        what, true, false, operand = code[place]
        place += 1
        if what == 0x30:
            held = segment[operand]
        elif what == 0x20 and operand == 0xFFFFF000 + 56:
            held = int(chance * 0xFFFFFFFF)
        elif what == 0x20:
            held = int.from_bytes(header[operand - 0xFFF00000 :][:4], "big")
        elif what == 0x54:
            held &= operand
        elif what in (0x15, 0x35):
            place += true if (held == operand if what == 0x15 else held >= operand) else false
        else:
            assert what == 0x06
            return operand > 0


class ProgramTests(SynchronousTestCase):
    def _program(self, *hosts: tuple[str, int, float]) -> list[Instruction]:
        family = 6 if ":" in hosts[0][0] else 4
        return program(family, {blocks_of(host)[level]: share for host, level, share in hosts})

    def test_share(self) -> None:
        """Of a block's SYNs that share passes; every other block's do."""
        for inside, next_door, level in (
            ("198.18.7.9", "198.19.7.9", 1),
            ("198.18.7.9", "198.18.7.8", 3),
            ("2001:db8:f:1::1", "2001:db8:e:1::1", 2),
            ("2001:db8:f:1::1", "2001:db8:f:2::1", 3),
            ("2001:db8:f:1::1", "2001:e00::1", 0),
        ):
            code = self._program((inside, level, 0.1))
            found = [passes(code, host, chance=chance) for host in (inside, next_door) for chance in (0.09, 0.11)]
            self.assertEqual(found, [True, False, True, True])

    def test_only_syns(self) -> None:
        """Connections that there are go on, whoever they are with: they take over their listener's filter."""
        code = self._program(("198.18.7.9", 3, 0.001))
        self.assertEqual(
            [passes(code, "198.18.7.9", each, 0.5) for each in (SYN, ACK, SYN_ACK, 0x18)], [False] + [True] * 3
        )

    def test_one_in_the_other(self) -> None:
        """What is in two blocks has to pass both."""
        code = self._program(("198.18.7.9", 3, 0.5), ("198.18.7.9", 1, 0.1), ("203.0.113.1", 2, 0.01))
        self.assertEqual([passes(code, "198.18.7.9", chance=each) for each in (0.05, 0.2, 0.7)], [True, False, False])
        self.assertEqual([passes(code, "198.18.0.1", chance=each) for each in (0.05, 0.2)], [True, False])
        self.assertEqual([passes(code, "203.0.113.9", chance=each) for each in (0.005, 0.05)], [True, False])

    def test_families(self) -> None:
        """A socket of one family gets nothing of the other."""
        screened = {blocks_of("198.18.7.9")[1]: 0.1}
        self.assertEqual(program(6, screened), [])
        self.assertTrue(program(4, screened))

    @given(
        st.lists(st.tuples(st.integers(0, (1 << 128) - 1), st.integers(1, 64)), min_size=1, max_size=24), st.integers()
    )
    def test_any(self, blocks: list[tuple[int, int]], seed: int) -> None:
        """Whichever blocks there are: within the kernel's bounds, it drops who is in one of them and nobody else."""
        made = {Block(6, bits, value >> 128 - bits): 0.0 for value, bits in blocks}
        code = program(6, made)
        self.assertLess(len(code), MOST)
        for value in (seed % (1 << 128), blocks[0][0]):
            host = socket.inet_ntop(socket.AF_INET6, value.to_bytes(16, "big"))
            inside = any(value >> 128 - block.bits == block.value for block in made)
            self.assertEqual(passes(code, host, chance=0.5), not inside)
