"""
What the kernel keeps from a listening socket: a share of the SYNs of loud blocks of addresses, dropped in silence.

To refuse a connection that was completed costs us much more than a SYN that is dropped. Only SYNs are looked at, since
a connection takes over its listener's filter.

Source: Linux, networking/filter.rst; net/ipv4/tcp_ipv4.c applies a listener's filter to what comes for it.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Mapping

from morphnet.net.blocks import Block

SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27  # asm-generic/socket.h
_LOAD_BYTE, _LOAD_WORD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x30, 0x20, 0x54, 0x15, 0x35, 0x06  # linux/bpf_common.h
_NETWORK = 0x100000000 - 0x100000  # SKF_NET_OFF: counted from the IP header; all else from the TCP header
_RANDOM = 0x100000000 - 0x1000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM: 32 bits
_FLAGS, _SYN, _SYN_ACK = 13, 0x02, 0x12  # of TCP, RFC 9293 section 3.1
_SOURCE = {4: 12, 6: 8}  # offset of the source address in the IP header
_ALL = 0xFFFFFFFF

Instruction = tuple[int, int, int, int]  # code, steps if true, steps if false, operand


def program(family: int, screened: Mapping[Block, float]) -> list[Instruction]:
    """A filter that drops SYNs of those blocks of `family`, all but that share of each; [] when there are none."""
    ours = {block: share for block, share in screened.items() if block.family == family}
    if not ours:
        return []
    made: list[Instruction] = [
        (_LOAD_BYTE, 0, 0, _FLAGS),
        (_AND, 0, 0, _SYN_ACK),
        (_EQUAL, 1, 0, _SYN),
        (_RETURN, 0, 0, _ALL),
    ]
    for block, share in ours.items():
        made += _drop(block, share)
    return [*made, (_RETURN, 0, 0, _ALL)]


def _drop(block: Block, share: float) -> list[Instruction]:
    """Drop all but `share` of what comes from the block; go on with the next instruction for the others."""
    tail: list[Instruction] = [
        (_LOAD_WORD, 0, 0, _RANDOM),
        (_AT_LEAST, 0, 1, min(_ALL, int(share * (1 << 32)))),
        (_RETURN, 0, 0, 0),
    ]
    words, value, left = list[tuple[int, int]](), block.value, block.bits
    while left > 0:  # the first words first
        bits = min(32, left)
        left -= bits
        words.append(((value >> left & (1 << bits) - 1) << 32 - bits, _ALL << 32 - bits & _ALL))
    for place in reversed(range(len(words))):
        wanted, mask = words[place]
        offset = _NETWORK + _SOURCE[block.family] + 4 * place
        tail = [(_LOAD_WORD, 0, 0, offset), (_AND, 0, 0, mask), (_EQUAL, 0, len(tail), wanted), *tail]
    return tail


def attach(listening: socket.socket, instructions: list[Instruction]) -> None:
    """
    Have the kernel apply that to a listening socket, instead of what it applied before; [] for nothing.

    :raises OSError: it does not.
    """
    if not instructions:
        listening.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
        return
    code = b"".join(struct.pack("=HBBI", *each) for each in instructions)
    kept = ctypes.create_string_buffer(code, len(code))
    described = struct.pack("@HP", len(instructions), ctypes.addressof(kept))
    listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, described)
