"""What homes, coordinators and browsers say to each other."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from twisted.internet.task import Clock

from morphnet.errors import ConfigError, MalformedFrame, PeerError
from morphnet.rendezvous.home.registry import Registry
from morphnet.rendezvous.home.streams import Session, read_words
from morphnet.wire import noise, stun
from morphnet.wire.batch import Endpoint
from morphnet.wire.messages.home import datagrams, frames, parts
from morphnet.wire.messages.home.calls import (
    CALLS,
    Accepted,
    Call,
    Declined,
    Fallbacks,
    Move,
    Moved,
    Registration,
    Reply,
    to_text,
)
from morphnet.wire.messages.home.invitation import Invitation
from tests.fuzz.target import Target, of_text

_KEY, _EIGHT, _CALL = bytes(32), bytes(8), "0" * 32
_STATIC = X25519PrivateKey.from_private_bytes(b"s" * 32)
_PUBLIC = _STATIC.public_key().public_bytes_raw()
_FIRST = noise.Initiator(X25519PrivateKey.from_private_bytes(b"e" * 32), _PUBLIC, b"").first(b"payload")


class _Nobody:
    """Takes and lets in nothing."""

    async def admit(self, home: str, invite: str) -> None:
        """Whoever gets so far had to forge a signature."""
        raise AssertionError("a signature was forged")

    def send(self, message: bytes) -> None:
        """To nobody."""

    def close(self) -> None:
        """Nothing to close."""


def _open_sealed(data: bytes) -> object:
    sealed = datagrams.decode(data)
    return datagrams.open_sealed(_KEY, sealed) if isinstance(sealed, datagrams.Sealed) else None


def _registry(data: bytes) -> None:
    """Whatever a stranger sends, nothing is remembered and only a true HELLO is answered."""
    registry = Registry(Clock(), bytes, _STATIC, _Nobody(), 1)
    registry._not_admitted = lambda failure: failure.raiseException()  # type: ignore[method-assign]
    answers: list[bytes] = []
    registry.send = lambda where, datagram: answers.append(datagram)
    registry.received(Endpoint("192.0.2.1", 1), data)
    assert len(registry) == 0 and sum(map(len, answers)) <= len(data)


def _session(data: bytes) -> None:
    """A browser that has logged in and says anything: messages are cut at each 00 ff."""
    session, link = Session(Clock(), lambda stream, asked: stream.end()), _Nobody()
    session.attach(link)
    for message in data.split(b"\x00\xff"):
        session.received(link, message)


HOMES = (
    Target(
        "home_datagrams",
        _open_sealed,
        (PeerError,),
        (
            datagrams.seal(_KEY, _EIGHT, 1, b"plain"),
            datagrams.encode(datagrams.Hello(_EIGHT, bytes(16))),
            datagrams.encode(datagrams.Register(_EIGHT, bytes(16), _FIRST)),
        ),
        ("wire.messages.home.datagrams.decode", "wire.messages.home.datagrams.open_sealed"),
    ),
    Target(
        "home_handshake",
        lambda data: noise.Responder(_STATIC, data, b""),
        (PeerError,),
        (_FIRST,),
        ("wire.noise._shared",),
    ),
    Target(
        "home_parts",
        parts.decode,
        (MalformedFrame,),
        (parts.encode(parts.Ping(1)), parts.encode(parts.Part(1, 0, 2, b"x")), parts.encode(parts.Got(1, 0))),
        ("wire.messages.home.parts.decode",),
    ),
    Target(
        "home_calls",
        CALLS.decode,
        (MalformedFrame,),
        (
            CALLS.encode(Registration("k" * 43, "s" * 86, 1)),
            CALLS.encode(Accepted("0" * 16, 20, "192.0.2.1:1")),
            CALLS.encode(Declined("no")),
            CALLS.encode(Call(_CALL, "192.0.2.1", "e30")),
            CALLS.encode(Reply(_CALL, "e30")),
            CALLS.encode(Move(1, "morphnethome1:e30")),
            CALLS.encode(Moved(1)),
            CALLS.encode(Fallbacks(("morphnethome1:e30",))),
        ),
    ),
    Target(
        "home_frames",
        frames.decode,
        (MalformedFrame,),
        (frames.encode(frames.Resume(1)), frames.encode(frames.Item(1, 1, frames.Kind.BYTES, b"x"))),
        ("wire.messages.home.frames.decode",),
    ),
    Target(
        "home_credit", frames.credited, (MalformedFrame,), (frames.credit(1),), ("wire.messages.home.frames.credited",)
    ),
    Target("home_words", read_words, (MalformedFrame,), (b'{"service":"files"}',)),
    Target(
        "home_invitations",
        of_text(Invitation.read),
        (ConfigError,),
        (Invitation("c.example:3478", to_text(_KEY), "https://c.example", "token").line().encode(),),
    ),
    Target(
        "home_registry", _registry, (), (datagrams.encode(datagrams.Hello(_EIGHT, datagrams.proof(_PUBLIC, _EIGHT))),)
    ),
    Target(
        "home_session",
        _session,
        (PeerError,),
        (frames.encode(frames.Resume(0)) + b"\x00\xff" + frames.encode(frames.Item(0, 1, frames.Kind.OPEN, b"{}")),),
    ),
    Target(
        "stun", lambda data: stun.answer(data, "2001:db8::1", 1), (), (bytes.fromhex("000100002112a442") + bytes(12),)
    ),
)
