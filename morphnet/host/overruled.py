"""
Rules of others that ours would come before, though they were there first.

A rule that is added without a number gets that of the first one behind the local table's, less one: 32765, or 32764,
where there was none. So a VPN that was up before us has its rules right before the main table's, behind ours.

Source: linux/fib_rules.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from socket import AF_INET, AF_INET6

from morphnet.host.facts import MAIN, PROTOCOL, ROUTE
from morphnet.host.kernel import Kernel
from morphnet.host.netlink import attributes
from morphnet.host.readback import GETRULE

MAIN_RULE = 32766  # the preference of the main table's own rule
_LOOKUP, _NOTHING = 1, 3  # what a rule does
_PREFERENCE, _TABLE, _PROTOCOL = 6, 15, 21  # attributes
_U32 = struct.Struct("=I")


def overruled(kernel: Kernel, first: int) -> frozenset[int]:
    """
    The families in which somebody else has a rule behind `first`, and before that of the main table.

    :param first: a preference.
    :raises HostError: the kernel does not tell its rules.
    """
    found = set()
    for family, kind in ((4, AF_INET), (6, AF_INET6)):
        if is_overruled(kernel.routing_dump(GETRULE, ROUTE.pack(kind, 0, 0, 0, 0, 0, 0, 0, 0)), first):
            found.add(family)
    return frozenset(found)


def is_overruled(payloads: Iterable[bytes], first: int) -> bool:
    """
    The same of one family.

    :param payloads: of RTM_NEWRULE.
    """
    return any(first <= _diverting(each) < MAIN_RULE for each in payloads)


def _diverting(payload: bytes) -> int:
    """The preference of a rule of somebody else that does not lead to the main table; -1 if it is none."""
    if len(payload) < ROUTE.size:
        return -1
    action, table, found = payload[7], payload[4], attributes(payload[ROUTE.size :])
    table = _U32.unpack(found[_TABLE])[0] if len(found.get(_TABLE, b"")) == 4 else table
    if found.get(_PROTOCOL) == bytes([PROTOCOL]) or action == _NOTHING or (action, table) == (_LOOKUP, MAIN):
        return -1
    return int(_U32.unpack(found[_PREFERENCE])[0]) if len(found.get(_PREFERENCE, b"")) == 4 else -1
