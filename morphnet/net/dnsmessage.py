"""
Messages of the DNS, by twisted.names: what comes is read without ever raising out, what goes is made here.

Source: RFC 1035, RFC 6891 (EDNS), RFC 2308 (how long an absence is known), RFC 8482 (ANY).
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, cast

from twisted.names import dns

from morphnet.rendezvous.naming import GATEWAY, Known, inner, is_under
from morphnet.text import DOMAIN

PORT = 53
LEAST_SIZE, MOST_SIZE = 512, 1232  # bytes of an answer by UDP: of who says nothing of it, and at most
LIFE = 30  # seconds that what we say of our own names may be kept
_OPT = 41
_DO = 0x8000  # of the flags in OPT: signatures are wanted
_KINDS_OF_CONTROL = range(249, 256)  # transfers of zones, ANY and the like: much for little, and nobody's need
_KINDS_OF_ZONES = (dns.NS, dns.SOA, 43, 48)  # and DS, DNSKEY: who checks signatures begins at the top
_BROKEN = (ValueError, EOFError, struct.error, IndexError, KeyError, TypeError, AttributeError, OverflowError)

_LONGEST_NAME, _LONGEST_LABEL = 253, 63  # bytes
_STEPS, _STEPS_A_BYTE = 4096, 2  # in which an answer is read
_STEPS_OF_QUESTION = 512  # a name of 127 labels takes about half
_MOST_ADDITIONAL = 4  # records in a question: of EDNS, and who signs
_HEADER = struct.Struct("!4x4H")  # how much there is in each part

Key = tuple[bytes, int, bool, bool]


@dataclass(frozen=True, slots=True)
class Question:
    """One that may be answered."""

    name: bytes  # as it was asked
    kind: int  # type of the records
    signatures: bool = False  # DNSSEC's are wanted as well
    unchecked: bool = False  # whether what they prove was looked at does not matter (CD)

    @property
    def text(self) -> str:
        """The name in small letters, each byte a character."""
        return self.name.decode("latin-1").lower()

    @property
    def key(self) -> Key:
        """The same for all who ask for the same."""
        return self.name.lower(), self.kind, self.signatures, self.unchecked

    @property
    def of_zone(self) -> bool:
        """Whether it is about a zone, not about who is called so."""
        return self.kind in _KINDS_OF_ZONES


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it came."""

    number: int
    question: Question
    recursion: bool
    size: int  # bytes that an answer by UDP may have
    edns: bool
    of_class: int = dns.IN

    @property
    def is_refused(self) -> bool:
        """Whether nobody gets an answer to that."""
        return self.question.kind in _KINDS_OF_CONTROL or self.of_class != dns.IN


@dataclass(slots=True)
class Answer:
    """What is said of a question; the records are those of twisted.names."""

    code: int = dns.OK
    answers: list[Any] = field(default_factory=list)
    authority: list[Any] = field(default_factory=list)
    additional: list[Any] = field(default_factory=list)
    ours: bool = False  # it is of our own names
    cut: bool = False  # there is more than a datagram takes
    size: int = 0  # bytes that it came in

    def life(self) -> float:
        """Seconds that it may be kept; 0 for not at all."""
        if self.code not in (dns.OK, dns.ENAME) or self.cut:
            return 0.0
        if self.answers:
            return float(min(record.ttl for record in (*self.answers, *self.authority)))
        ends = [record for record in self.authority if isinstance(record.payload, dns.Record_SOA)]
        return float(min((min(record.ttl, record.payload.minimum) for record in ends), default=0))

    def older(self, seconds: float) -> Answer:
        """The same after so many seconds."""
        answers, authority, additional = ([_older(each, int(seconds)) for each in part] for part in self._parts())
        return Answer(self.code, answers, authority, additional, self.ours, self.cut, self.size)

    def without(self, unfit: Callable[[str], bool]) -> int:
        """Take out records that lead to what is unfit, an address or a name; answers with how many."""
        before = sum(map(len, self._parts()))
        self.answers, self.authority, self.additional = (
            [record for record in part if not ((host := _led_to(record)) and unfit(host))] for part in self._parts()
        )
        return before - sum(map(len, self._parts()))

    def _parts(self) -> tuple[list[Any], list[Any], list[Any]]:
        return self.answers, self.authority, self.additional


class _Reading(BytesIO):
    """
    A message that is read in so many steps: a name may be said to go on elsewhere, where it is long, and a message of
    64 KiB take half a minute.
    """

    def __init__(self, data: bytes, steps: int) -> None:
        super().__init__(data)
        self._left = steps

    def read(self, size: int | None = -1) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise ValueError("it leads round and round")
        return super().read(size)


def read(data: bytes, steps: int = 0) -> dns.Message | None:
    """
    A message; None for what is none, or holds a name that nobody could write down again.

    :param steps: in which it is read; 0 for what an answer of its length may take.
    """
    message = dns.Message()
    try:
        message.decode(_Reading(data, steps or _STEPS + _STEPS_A_BYTE * len(data)))
    except _BROKEN:
        return None
    return message if all(map(_is_name, _names_in(message))) else None


def _names_in(message: dns.Message) -> Iterator[bytes]:
    yield from (query.name.name for query in message.queries)
    for record in (*message.answers, *message.authority, *message.additional):
        yield record.name.name
        yield from (each.name for each in vars(record.payload).values() if isinstance(each, dns.Name))


def _is_name(name: bytes) -> bool:
    """With a dot in one label, as it comes, another one may be empty or too long when they are told apart by dots."""
    labels = name.split(b".") if name else ()
    return len(name) <= _LONGEST_NAME and all(0 < len(each) <= _LONGEST_LABEL for each in labels)


def asked_in(data: bytes) -> Asked | None:
    """The question in what a caller sent; None for what is no question that anybody answers."""
    if len(data) < _HEADER.size:
        return None
    queries, answers, authority, additional = _HEADER.unpack_from(data)
    if (queries, answers, authority) != (1, 0, 0) or additional > _MOST_ADDITIONAL:
        return None
    message = read(data, _STEPS_OF_QUESTION)
    if message is None or message.answer or message.opCode != dns.OP_QUERY or not message.queries:
        return None
    query = message.queries[0]
    opt = next((each for each in message.additional if each.type == _OPT), None)
    size = max(LEAST_SIZE, min(MOST_SIZE, opt.cls)) if opt is not None else LEAST_SIZE
    signatures = opt is not None and bool(opt.ttl & _DO)
    question = Question(query.name.name, query.type, signatures, bool(message.checkingDisabled))
    return Asked(message.id, question, bool(message.recDes), size, opt is not None, query.cls)


def question_bytes(question: Question, number: int, *, edns: bool = True) -> bytes:
    """What another server is asked; some old ones know no EDNS."""
    message = dns.Message(number, recDes=1, checkingDisabled=int(question.unchecked))
    message.queries = [dns.Query(question.name, question.kind)]
    message.additional = [_opt(question.signatures)] if edns else []
    return bytes(message.toStr())


def answer_in(data: bytes, question: Question, number: int) -> Answer | None:
    """What another server says; None for what is no answer to that question."""
    if data[:2] != number.to_bytes(2, "big"):
        return None  # a forger's, it may be: it costs nothing
    message = read(data)
    if message is None or not message.answer or message.opCode != dns.OP_QUERY:
        return None
    if len(message.queries) != 1:
        return None
    query = message.queries[0]
    if (query.name.name.lower(), query.type, query.cls) != (question.name.lower(), question.kind, dns.IN):
        return None
    additional = [record for record in message.additional if record.type != _OPT]
    cut = bool(message.trunc)
    return Answer(message.rCode, message.answers, message.authority, additional, cut=cut, size=len(data))


def answer_bytes(asked: Asked, answer: Answer, most: int | None) -> bytes:
    """
    What the caller gets.

    :param most: bytes that it may have; None for no limit but that of the DNS.
    """
    data = _encoded(asked, answer)
    if len(data) <= (most if most is not None else 0xFFFF):
        return data
    return _encoded(asked, Answer(answer.code, ours=answer.ours, cut=True))


def _encoded(asked: Asked, answer: Answer) -> bytes:
    message = dns.Message(
        asked.number,
        answer=1,
        recDes=int(asked.recursion),
        recAv=1,
        auth=answer.ours,
        rCode=answer.code,
        trunc=int(answer.cut),
        checkingDisabled=int(asked.question.unchecked),
        maxSize=0,  # we have looked ourselves
    )
    message.queries = [dns.Query(asked.question.name, asked.question.kind, asked.of_class)]
    message.answers, message.authority = answer.answers, answer.authority
    message.additional = [*answer.additional, *([_opt(asked.question.signatures)] if asked.edns else [])]
    try:
        return bytes(message.toStr())
    except _BROKEN:  # a record that was read, and cannot be written
        message.answers, message.authority, message.additional = [], [], []
        message.rCode = dns.ESERVER
        return bytes(message.toStr())


def own_answer(question: Question, known: Known) -> Answer:
    """What we say of our own names."""
    if not known.exists:
        return Answer(dns.ENAME, authority=[_soa()], ours=True)
    records: list[Any] = []
    for address in known.addresses:
        record: Any = dns.Record_AAAA(address) if ":" in address else dns.Record_A(address)
        records += [record] if question.kind == record.TYPE else []
    if known.pointer and question.kind == dns.PTR:
        records.append(dns.Record_PTR(known.pointer))
    if question.text == DOMAIN:
        records += {dns.SOA: [_soa().payload], dns.NS: [dns.Record_NS(f"{GATEWAY}.{DOMAIN}")]}.get(question.kind, [])
    found = [dns.RRHeader(question.name, record.TYPE, dns.IN, LIFE, record, auth=True) for record in records]
    return Answer(dns.OK, found, [] if found else [_soa()], ours=True)


def address_of(record: Any) -> str:
    """The address in a record; "" for none."""
    if isinstance(record.payload, dns.Record_A) and len(record.payload.address or b"") == 4:
        return str(record.payload.dottedQuad())
    if isinstance(record.payload, dns.Record_AAAA) and len(record.payload.address or b"") == 16:
        return socket.inet_ntop(socket.AF_INET6, record.payload.address)
    return ""


def _led_to(record: Any) -> str:
    """The address, or for another name the name, that the record leads to; "" for none."""
    if isinstance(record.payload, dns.Record_CNAME | dns.Record_DNAME):
        return str(cast(Any, record.payload).name.name.decode("latin-1").lower())
    return address_of(record)


def unfit_outside(pools: Sequence[str]) -> Callable[[str], bool]:
    """
    Whether a name of the world has no business to lead there: to the machine that asks, or to one of the network, by
    its address or by its name, which who asks may look up next.

    Whoever owns a name could else have a page of his reach, in a browser here, what is meant for members only.

    :param pools: inner networks.
    """
    is_inner = inner(pools)

    def unfit(host: str) -> bool:
        try:
            address: Any = ipaddress.ip_address(host)
        except ValueError:
            return is_under(host, (DOMAIN,)) or "." not in host
        address = getattr(address, "ipv4_mapped", None) or address
        return bool(address.is_loopback or address.is_unspecified or address.is_link_local or is_inner(host))

    return unfit


def _opt(signatures: bool) -> Any:
    return dns.RRHeader(b"", _OPT, MOST_SIZE, _DO if signatures else 0, dns.UnknownRecord(b""))


def _soa() -> Any:
    soa = dns.Record_SOA(f"{GATEWAY}.{DOMAIN}", f"hostmaster.{DOMAIN}", 1, 3600, 600, 86400, LIFE, LIFE)
    return dns.RRHeader(DOMAIN, dns.SOA, dns.IN, LIFE, soa, auth=True)


def _older(record: Any, seconds: int) -> Any:
    life = max(0, record.ttl - seconds)
    return dns.RRHeader(record.name.name, record.type, record.cls, life, record.payload, auth=record.auth)
