"""Questions for names that a member sends, and what other DNS servers answer."""

from __future__ import annotations

from twisted.names import dns

from morphnet.net.dnsmessage import (
    Answer,
    Question,
    answer_bytes,
    answer_in,
    asked_in,
    own_answer,
    question_bytes,
    unfit_outside,
)
from morphnet.rendezvous.naming import Known, Naming, Zone
from tests.fakes_names import answering, question, read
from tests.fuzz.target import Target

_WIKI = Question(b"wiki.example", dns.A)
_UNFIT = unfit_outside(("10.73.0.0/24", "fd73::/64"))


def _zone() -> Zone:
    zone = Zone(("10.73.0.0/24", "fd73::/64"))
    zone.are({"laptop": ("10.73.0.2", "fd73::2")})
    return zone


_NAMING = Naming(_zone(), {"corp.example": ("10.0.0.53",)}, lambda: ("9.9.9.9",))


def _asked(data: bytes) -> None:
    """What is a question is answered, and what we ask in its place can be read."""
    asked = asked_in(data)
    if asked is None:
        return
    found = _NAMING.where(asked.question.text)
    if isinstance(found, Known):
        assert read(answer_bytes(asked, own_answer(asked.question, found), asked.size)).id == asked.number
    else:
        assert asked_in(question_bytes(asked.question, 7)) is not None


def _answered(data: bytes) -> None:
    """What is an answer can be kept, looked through and given out."""
    asked, answer = asked_in(question(_WIKI.name, size=1232)), answer_in(data, _WIKI, 7)
    if asked is None or answer is None:
        return
    assert answer.life() >= 0
    answer.without(_UNFIT)
    read(answer_bytes(asked, answer.older(5), asked.size))
    answer_bytes(asked, Answer(dns.ESERVER), None)


def _answers() -> tuple[bytes, ...]:
    asked = read(question_bytes(_WIKI, 7))
    found = (answering("192.0.2.1", "10.73.0.1")(asked), answering(code=dns.ENAME, minimum=60)(asked))
    return tuple(each for each in found if each is not None)


NAMES = (
    Target("questions", _asked, (), (question("laptop.morph"), question("wiki.example", dns.AAAA, size=1232)), ()),
    Target("answers", _answered, (), _answers(), ()),
)
