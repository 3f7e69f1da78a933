"""
What an uplink is asked to see whether it leads out: echoes, questions for names, and how a page begins.

An answer proves something only if nobody in between could give it for the target without being asked: an echo brings
back a token, and a name that nobody has is denied. It is a new one under `com` each time, which no resolver on the way
can deny by itself, as it may what is under `invalid` (RFC 6761 section 6.4), and none has been asked before. A captive
portal answers with an address instead.

Source: RFC 792, RFC 4443 section 4, RFC 1035 section 4, RFC 9110 section 15.
"""

from __future__ import annotations

import ipaddress
import struct

TOKEN = 12  # bytes
NOWHERE4, NOWHERE6 = "192.0.2.1", "2001:db8::1"  # nobody has these: RFC 5737, RFC 3849
PAGE_REQUEST = b"GET / HTTP/1.1\r\nHost: nowhere.invalid\r\nConnection: close\r\n\r\n"
PAGE_BYTES = 16  # enough of an answer to see what it is
_ECHO = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence
_ASKS = {4: (8, 0), 6: (128, 129)}  # types of a request and of its answer
_DNS = struct.Struct("!HHHHHH")  # number, flags, questions, answers, authorities, more
_RESPONSE, _OPCODE, _RECURSE, _RCODE = 0x8000, 0x7800, 0x0100, 0x000F
_NO_SUCH_NAME = 3
_A, _TXT, _IN, _CHAOS = 1, 16, 1, 3
_WHO = b"\x06whoami\x0acloudflare\0"
_PORTAL = (b"2", b"3", b"511")  # a page, "go there", and "sign in first"; a proxy that fails says 502 to 504


def echo_request(family: int, identifier: int, token: bytes) -> bytes:
    """
    An ICMP echo; the kernel fills in the checksum of one for IPv6.

    :param family: 4 or 6.
    :param token: TOKEN bytes that nobody can guess.
    """
    head = _ECHO.pack(_ASKS[family][0], 0, 0, identifier, 0)
    checksum = _checksum(head + token) if family == 4 else 0
    return _ECHO.pack(_ASKS[family][0], 0, checksum, identifier, 0) + token


def echoed(family: int, packet: bytes) -> bytes | None:
    """
    The token in the answer to an echo; None if it is something else.

    :param packet: with the IP header for IPv4, as a raw socket has it, or without.
    """
    if family == 4 and packet and packet[0] >> 4 == 4:
        packet = packet[4 * (packet[0] & 15) :]
    if len(packet) != _ECHO.size + TOKEN or packet[:2] != bytes((_ASKS[family][1] if family == 6 else 0, 0)):
        return None
    return packet[_ECHO.size :]


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def name_question(number: int, token: bytes) -> bytes:
    """Ask for the address of a name that nobody has."""
    return _question(number, _nobody(token), _A, _IN)


def _nobody(token: bytes) -> bytes:
    label = b"m" + token.hex().encode()
    return bytes((len(label),)) + label + b"\x03com\0"


def _question(number: int, name: bytes, kind: int, of: int) -> bytes:
    return _DNS.pack(number, _RECURSE, 1, 0, 0, 0) + name + struct.pack("!HH", kind, of)


def denied(datagram: bytes, number: int, token: bytes) -> bool:
    """Whether that is a name server's answer to this question, and denies that there is such a name."""
    asked = name_question(number, token)[_DNS.size :]
    if len(datagram) < _DNS.size + len(asked) or datagram[_DNS.size : _DNS.size + len(asked)].lower() != asked:
        return False
    told, flags, questions, answers, _, _ = _DNS.unpack_from(datagram)
    good = flags & (_RESPONSE | _OPCODE) == _RESPONSE and flags & _RCODE == _NO_SUCH_NAME
    return good and (told, questions, answers) == (number, 1, 0)


def who_question(number: int) -> bytes:
    """Ask a name server which address it sees us at, as 1.1.1.1 tells it: `whoami.cloudflare CH TXT`."""
    return _question(number, _WHO, _TXT, _CHAOS)


def who_answer(datagram: bytes, number: int) -> str:
    """The address that we are seen at; "" if it says nothing of the kind."""
    asked = who_question(number)[_DNS.size :]
    if len(datagram) < _DNS.size + len(asked) or datagram[_DNS.size : _DNS.size + len(asked)].lower() != asked:
        return ""
    told, flags, questions, answers, _, _ = _DNS.unpack_from(datagram)
    if told != number or not flags & _RESPONSE or flags & _RCODE or (questions, answers < 1) != (1, False):
        return ""
    at = _past_name(datagram, _DNS.size + len(asked))
    if len(datagram) < at + 11:
        return ""
    kind, _, _, length, text = struct.unpack_from("!HHIHB", datagram, at)
    said = datagram[at + 11 : at + 11 + text]
    if kind != _TXT or length != text + 1 or len(said) != text:
        return ""
    try:
        return str(ipaddress.ip_address(said.decode("ascii")))
    except ValueError:
        return ""


def _past_name(datagram: bytes, at: int) -> int:
    """Where a name ends that begins there; nobody follows where it points to."""
    while at < len(datagram) and datagram[at]:
        if datagram[at] >= 0xC0:
            return at + 2
        at += 1 + datagram[at]
    return at + 1


def is_page(head: bytes) -> bool:
    """
    Whether that is how somebody begins who hands out a page for an address that nobody has.

    :param head: the first PAGE_BYTES of what came.
    """
    if not head.startswith(b"HTTP/1."):
        return False
    return head[9:12].startswith(_PORTAL)
