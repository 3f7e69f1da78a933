"""Public addresses that this machine has itself: packets for these end here, and do not go out into the world."""

from __future__ import annotations

import ipaddress

from morphnet.config.policy import is_public
from morphnet.errors import HostError
from morphnet.host.facts import read_addresses


def public_addresses() -> tuple[str, ...]:
    """
    Those of all its devices, sorted; some 0.1 ms.

    :raises HostError: the kernel does not answer.
    """
    try:
        found = {each.address for each in read_addresses()}
    except OSError as error:
        raise HostError(f"the kernel does not tell the addresses of this machine: {error.strerror}") from error
    return tuple(sorted(each for each in found if is_public(ipaddress.ip_address(each).packed)))
