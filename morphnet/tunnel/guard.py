"""
Who may what, for packets that come out of the tunnel: each is judged by the network's policy before the kernel has it.

A packet passes where a rule allows what it begins; or where it answers, and a rule allows what it answers to:

- Of TCP an answer is what has ACK or RST and does not begin a connection. It opens none, whoever sends it, and what is
  not a connection the kernel resets: so nothing has to be remembered, and a restart cuts none.
- Of UDP, echoes and all else an answer is what comes within AGE of a packet that went the other way. These are
  remembered: at most MOST_SENT, the ones that were used last. Who has most of them makes room, so that a machine which
  sends from ever other ports costs others no answer.
- An ICMP error passes where the packet that it is about may go one way or the other, and was sent by whom it is for.

Of a fragment that is not the first one passes what follows a first one that did. What was judged once is remembered by
its flow, until policy or names change, so that a packet costs one look into a dictionary.

Source: docs/policy; RFC 9293 section 3.10.7.1 (reset); RFC 3128 and RFC 8200 section 4.5 (fragments); RFC 5722.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from morphnet.config.policy import TCP, UDP, Policy, Ports, Rule, Who, allowing
from morphnet.tunnel.places import Places
from morphnet.wire.batch import VNET_HDR
from morphnet.wire.inner import ECHO_REPLY, ECHO_REQUEST, ERROR, FIRST, LATER, Inner, Refusal, look

AGE = 180.0  # seconds after a packet that went out in which what comes the other way answers it
FRESH = 5.0  # seconds in which it need not be noted again
FRAGMENT_AGE = 30.0  # seconds after its first fragment in which the others of a packet may come
MOST_SENT, MOST_FRAGMENTS = 16384, 1024
MOST_JUDGED, MOST_PAIRS = 16384, 4096  # flows and pairs of addresses of which the verdict is remembered
LOOK_EVERY = 10.0  # seconds between looks at the addresses of this machine
MOST_REFUSED = 256  # pairs that are told apart; the others are counted together
REFUSED, ALLOWED, ANSWERS = 0, 1, 2
SYN, RST, ACK = 2, 4, 16

View = bytes | bytearray | memoryview
Flow = tuple[int, bytes]  # protocol; addresses and ports as they are in the packet
Rules = list[tuple[Rule, tuple[Ports, ...]]]


_NEVER: tuple[float, dict[Flow, None] | None] = (float("-inf"), None)


class Refused(NamedTuple):
    """Packets that were not let in."""

    source: str  # a name, "world", or an address that is nobody's
    target: str
    what: str  # "80/tcp", "icmp", "protocol 47": of the first


class _Pair(NamedTuple):
    """A source and a target."""

    rules: Rules  # that say something of them
    shown: tuple[str, str]  # for a person


class Guard:
    """
    :param places: whose an address is.
    :param tell: hears of each pair of which a packet is refused for the first time.
    :param look: called now and then, to tell `places` what of this machine may have changed.
    """

    def __init__(
        self,
        policy: Policy,
        places: Places,
        tell: Callable[[Refused], None],
        look: Callable[[], None] = lambda: None,
    ) -> None:
        self._look, self._look_at = look, float("-inf")
        self.policy, self._places, self._tell = policy, places, tell
        self.counts = Counter[str]()
        self.refused: dict[tuple[str, str], tuple[Refused, int]] = {}  # by names; how many packets
        self._judged: dict[Flow, int] = {}
        self._pairs: dict[tuple[bytes, bytes], _Pair] = {}
        self._sent: dict[Flow, tuple[float, dict[Flow, None]]] = {}  # when it went out last; all of that sender
        self._senders: dict[tuple[str, ...], dict[Flow, None]] = {}  # what each has there, by its names, in that order
        self._fragments: dict[bytes, float] = {}  # packets whose first fragment has passed: when

    def obey(self, policy: Policy) -> None:
        """There is another policy: what was judged is judged again."""
        self.policy = policy
        self.refused.clear()
        self.forget()

    def forget(self) -> None:
        """Names have changed: the same."""
        self._judged.clear()
        self._pairs.clear()

    # -- what goes out -------------------------------------------------------------------------------------------------

    def sent(self, packets: Sequence[View], now: float) -> None:
        """These go into the tunnel: remember what may be answered. TCP needs nobody's memory."""
        for packet in packets:
            first = packet[VNET_HDR] if len(packet) >= VNET_HDR + 40 else 0
            if first == 0x45 and packet[19] == UDP and not (packet[16] & 0x3F or packet[17]):
                self._note((UDP, bytes(packet[22:34])), now)
            elif first >> 4 == 6 and packet[16] == UDP:
                self._note((UDP, bytes(packet[18:54])), now)
            elif not (first == 0x45 and packet[19] == TCP) and not (first >> 4 == 6 and packet[16] == TCP):
                looked = look(packet, VNET_HDR)
                if isinstance(looked, Inner) and looked.may_be_answered:
                    self._note((looked.protocol, looked.flow), now)

    def _note(self, flow: Flow, now: float) -> None:
        at, several = self._sent.get(flow, _NEVER)
        if now - at < FRESH:
            return
        if several is not None:
            del several[flow]
        elif self._judged.get((flow[0], _reversed(flow[1]))) == ALLOWED:
            return  # it answers itself, and what it answers needs no memory
        else:
            if len(self._sent) >= MOST_SENT:
                self._make_room()
            sender = self._places.who(flow[1][: _address_size(flow[1])])
            several = self._senders.setdefault(sender.names, {})
        several[flow] = None
        self._sent[flow] = now, several

    def _make_room(self) -> None:
        most = max(self._senders.values(), key=len)
        oldest = next(iter(most))
        del most[oldest], self._sent[oldest]
        self.counts["policy_flows_forgotten"] += 1

    # -- what comes out ------------------------------------------------------------------------------------------------

    def admit(self, packets: Sequence[bytearray], now: float) -> list[bytearray]:
        """Those of them that may pass; see `Effects.delivers`. The others are counted."""
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            self._look()
        judged, kept = self._judged, list[bytearray]()
        for packet in packets:
            first, flags_at = packet[VNET_HDR], 43
            if first == 0x45 and not (packet[16] & 0x3F or packet[17]):
                protocol, flow = packet[19], bytes(packet[22:34])
            elif first >> 4 == 6:
                protocol, flow, flags_at = packet[16], bytes(packet[18:54]), 63
            else:
                protocol, flow = -1, b""
            verdict = judged.get((protocol, flow))
            known = (
                verdict == ALLOWED
                or (verdict == ANSWERS and protocol == TCP and len(packet) > flags_at and _answers(packet[flags_at]))
                or (verdict == ANSWERS and protocol == UDP and self._was_asked((UDP, _reversed(flow)), now))
            )
            if known or self._passes(packet, now):
                kept.append(packet)
        return kept

    def _passes(self, packet: bytearray, now: float) -> bool:
        looked = look(packet, VNET_HDR)
        if isinstance(looked, Refusal):
            self._refuse(looked.source, looked.target, looked.why)
            return False
        passes = self._later(looked, now) if looked.part == LATER else self._begins_or_answers(packet, looked, now)
        if not passes:
            self._refuse(looked.source, looked.target, looked.what)
        elif looked.part == FIRST:
            self._remember(self._fragments, looked.fragments, now)
        return passes

    def _begins_or_answers(self, packet: bytearray, looked: Inner, now: float) -> bool:
        if looked.kind == ERROR:
            return self._about(packet, looked)
        verdict = self._verdict(looked)
        if verdict != ANSWERS:
            return verdict == ALLOWED
        if looked.protocol == TCP:
            return _answers(packet[looked.transport + 13])
        return self._was_asked((looked.protocol, looked.answered), now)

    def _was_asked(self, flow: Flow, now: float) -> bool:
        """Whether something of that flow has gone out not long ago."""
        return now - self._sent.get(flow, _NEVER)[0] < AGE

    def _verdict(self, looked: Inner) -> int:
        """What the policy says of a flow."""
        flow = looked.protocol, looked.flow
        verdict = self._judged.get(flow)
        if verdict is not None:
            return verdict
        source, target, protocol = looked.source, looked.target, looked.protocol
        if looked.kind != ECHO_REPLY and allowing(self._pair(source, target).rules, protocol, looked.to_port):
            verdict = ALLOWED
        elif looked.kind != ECHO_REQUEST and allowing(self._pair(target, source).rules, protocol, looked.from_port):
            verdict = ANSWERS
        else:
            verdict = REFUSED
        if len(self._judged) >= MOST_JUDGED:
            self._judged.clear()
        self._judged[flow] = verdict
        return verdict

    def _pair(self, source: bytes, target: bytes) -> _Pair:
        pair = self._pairs.get((source, target))
        if pair is None:
            if len(self._pairs) >= MOST_PAIRS:
                self._pairs.clear()
            ends = self._places.who(source), self._places.who(target)
            pair = _Pair(self.policy.between(*ends), (_shown(ends[0]), _shown(ends[1])))
            self._pairs[source, target] = pair
        return pair

    def _about(self, packet: bytearray, error: Inner) -> bool:
        """Whether an ICMP error is about a packet that its receiver has sent, and that may go, or answers what may."""
        about = look(packet, error.transport + 8, cut=True)
        if not isinstance(about, Inner) or about.source != error.target or about.kind == ERROR:
            return False
        forward = self._pair(about.source, about.target).rules
        back = self._pair(about.target, about.source).rules
        return bool(allowing(forward, about.protocol, about.to_port) or allowing(back, about.protocol, about.from_port))

    # -- fragments -----------------------------------------------------------------------------------------------------

    def _later(self, looked: Inner, now: float) -> bool:
        at = self._fragments.get(looked.fragments)
        if at is not None and now - at < FRAGMENT_AGE:
            return True
        return allowing(self._pair(looked.source, looked.target).rules, looked.protocol, -1) is not None

    @staticmethod
    def _remember(known: dict[bytes, float], key: bytes, now: float) -> None:
        known.pop(key, None)
        if len(known) >= MOST_FRAGMENTS:
            del known[next(iter(known))]
        known[key] = now

    # -- what was refused ----------------------------------------------------------------------------------------------

    def _refuse(self, source: bytes, target: bytes, what: str) -> None:
        self.counts["policy_refused"] += 1
        pair = self._pair(source, target).shown
        known = self.refused.get(pair)
        if known is not None:
            self.refused[pair] = known[0], known[1] + 1
        elif len(self.refused) < MOST_REFUSED:
            refused = Refused(*pair, what)
            self.refused[pair] = refused, 1
            self._tell(refused)
        else:
            self.counts["policy_refused_untold"] += 1


def _answers(flags: int) -> bool:
    """Whether a segment of TCP with these flags can be part of a connection alone, and begin none."""
    return bool(flags & (ACK | RST)) and flags & (SYN | ACK) != SYN


def _shown(who: Who) -> str:
    return who.names[0] if who.names else str(ipaddress.ip_address(who.address))


def _address_size(flow: bytes) -> int:
    return 16 if len(flow) >= 32 else 4


def _reversed(flow: bytes) -> bytes:
    """The same flow, as what answers it has it: source, target, ports of 4 bytes (or what there is in their place)."""
    size = _address_size(flow)
    ports = flow[2 * size :]
    turned = ports[2:4] + ports[:2] if len(ports) == 4 else ports
    return flow[size : 2 * size] + flow[:size] + turned
