"""
Sealing and opening runs of datagrams, each on its own, with AES-256-GCM.

Source: docs/protocol sections 2 and 3; NIST SP 800-38D.
"""

from __future__ import annotations

from morphnet.wire.batch import Spacing
from morphnet.wire.core import Key
from morphnet.wire.formats import Format, ending_of
from morphnet.wire.header import SEGMENT, Header, nonce_of
from morphnet.wire.ip import View
from morphnet.wire.segments import Joined, Packets, Row, Run
from morphnet.wire.shapes.shape import Coat


def seal(format: Format, key: Key, header: Header, plaintext: View) -> bytes | bytearray:
    """One datagram."""
    size = len(plaintext)
    packed = format.pack(header, size)
    return key.seal((b"", packed, packed, format.aad), nonce_of(header), b"", plaintext, size or 1)


def seal_run(
    format: Format, key: Key, header: Header, run: Run, part: tuple[int, int], coat: Coat | None = None
) -> bytes | bytearray:
    """
    Slices of `run` as datagrams one behind the other, ready for one GSO send.

    :param part: from which slice on, and how many.
    :param coat: what they are masked with besides.
    :param header: of the first, with the flags of the run; sequence, place and packet number count up from it.
    """
    body: View = run.body
    start, count = part
    size, heads = run.size, len(run.head)
    if count < run.count:
        body = memoryview(body)[start * size : (start + count) * size]
    last = heads + len(body) - (count - 1) * size  # bytes
    first = ending = format.pack(header, heads + size if count > 1 else last)
    if header.flags & SEGMENT and start + count == run.count:
        ending = ending_of(format, first, last)
    front = format.counting, first, ending, format.aad
    if coat is not None:
        return key.seal_masked(front, nonce_of(header), run.head, body, size, coat)
    return key.seal(front, nonce_of(header), run.head, body, size)


def open_each(format: Format, key: Key, header: Header, data: memoryview, spacing: Spacing) -> list[bytes]:
    """
    The plaintexts of datagrams whose numbers count up.

    :param header: of the first, with everything that the format shortens.
    :raises Forged: the tag of one of them does not match.
    """
    form = format.header, format.aad
    if len(data) <= spacing[0]:
        return [key.open(form, nonce_of(header), data)]
    return key.open_all(form, nonce_of(header), data, *spacing)


def open_run(format: Format, key: Key, header: Header, data: memoryview, spacing: Spacing) -> Joined | None:
    """
    Slices of one super packet, joined; None when their sizes are not those of slices.

    :param header: of the first.
    :param data: two datagrams or more, which carry one another on (`count_following`).
    :raises Forged: the tag of one of them does not match.
    """
    opened = key.open_run((format.header, format.aad), nonce_of(header), data, *spacing)
    return None if opened is None else Joined(*opened, -(-len(data) // spacing[0]))


def open_whole(format: Format, key: Key, header: Header, data: memoryview, spacing: Spacing) -> Packets:
    """
    Whole packets of equal size, each as a TUN takes it.

    :param header: of the first.
    :raises Forged: the tag of one of them does not match.
    """
    return Packets(key.open_whole((format.header, format.aad), nonce_of(header), data, *spacing, header.flags))


def open_row(format: Format, key: Key, header: Header, data: memoryview, spacing: Spacing) -> Row:
    """
    Packets of many flows, each as a TUN takes it.

    :param header: of the first.
    :param data: datagrams that `formats.count_row` counts.
    :raises Forged: the tag of one of them does not match.
    """
    assert format.row is not None  # else it counts none
    return Row(key.open_row(format.row, nonce_of(header), data, *spacing))
