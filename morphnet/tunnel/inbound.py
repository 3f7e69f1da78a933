"""
The receiving half of a session: from datagrams to packets in order.

The walk of a datagram, which is that of this file:

1. It shows the low bits of its number: which whole number is that (`whole`)?
2. Did that number come before? Is there a key for it, and is its tag true (`open`)? Only now it counts, and may change
   anything.
3. Has what it carries come before, by another path? It is put together from its pieces, and unpacked (`take`).
4. Slices of one super packet are joined (`flush`).
5. The packet waits for those before it, if it must, and is delivered (`_pass_on`).

Source: docs/protocol sections 2, 4, 9.
"""

from __future__ import annotations

from morphnet.config.roles import Tuning
from morphnet.errors import Forged, MalformedFrame
from morphnet.tunnel.ackdebt import DELAY
from morphnet.tunnel.behind import Behind
from morphnet.tunnel.events import Counts, Effects
from morphnet.tunnel.fragments import Assembly
from morphnet.tunnel.keyring import ReceiveKeys
from morphnet.tunnel.path import Path
from morphnet.tunnel.patience import Patience
from morphnet.tunnel.received import not_before
from morphnet.tunnel.recovery import SHARE
from morphnet.tunnel.reorder import Held, Reorder
from morphnet.wire.batch import VNET_HDR, Train
from morphnet.wire.carried import Carried, CarriedRun, decode_carried, decode_run
from morphnet.wire.compress import decompress
from morphnet.wire.core import CORE, Key
from morphnet.wire.formats import FORMATS
from morphnet.wire.header import CARRIED, FRAGMENT, IP, LANES, LAST, ORDERED, SEGMENT, Header, unwrap
from morphnet.wire.seal import open_each, open_row, open_run, open_whole
from morphnet.wire.segments import Joined, Packets, Row, count_of, join
from morphnet.wire.virtio import VNET

UNKNOWN = 0.1  # seconds, an RTT that was not measured yet
Opened = Joined | Packets | Row | list[bytes]  # slices joined, whole packets, packets of many flows, or each plaintext


class _Group:
    """Consecutive slices of one super packet, as they come in."""

    __slots__ = ("count", "first", "flags", "lane", "path", "pieces", "sent_at", "sequence")

    def __init__(self, header: Header, sequence: int, piece: bytes | Joined) -> None:
        self.lane, self.path, self.flags = header.lane, header.path, header.flags
        self.first = header.place
        self.sent_at = header.sent_at
        self.sequence = sequence  # of the first, unwrapped
        self.pieces = [piece]
        self.count = count_of(piece)  # slices

    def takes(self, header: Header, sequence: int, piece: bytes | Joined) -> bool:
        """Whether `piece` is the next slice or slices of the same super packet; then it is added."""
        count = self.count
        if (
            header.flags & SEGMENT
            and self.flags & SEGMENT
            and not self.flags & LAST
            and sequence == self.sequence + count
            and header.place == self.first + count
            and header.lane == self.lane
            and header.path == self.path
        ):
            self.pieces.append(piece)
            self.count += count_of(piece)
            self.flags |= header.flags
            return True
        return False


class Inbound:
    """Opens what one session receives."""

    def __init__(self, peer: str, tuning: Tuning, counts: Counts, paths: dict[int, Path]) -> None:
        self._peer = peer
        self.carries = False  # whether somebody here takes carried datagrams
        self.keys = ReceiveKeys(tuning.rekey_seconds)
        self._tuning = tuning
        self.patience = Patience(tuning.reorder_ms / 1000)  # ours
        self._paths = paths  # the session's
        self._counts = counts
        self._forgery_limit = tuning.forgery_limit
        self.format = FORMATS[tuning.framing]
        self.forged = 0
        self.sources: frozenset[bytes] | None = None  # inner addresses the peer may send from; None allows any
        self.networks: Behind[bool] = Behind()  # that it may send from besides
        self.payload = 0  # bytes of packets that came, each once; of one that was joined as its parts came
        self._begin()

    def restart(self, effects: Effects) -> None:
        """The peer counts from the start again, a new process with new keys; what was held back is delivered."""
        before = self.reorder
        before.expire(float("inf"), effects)
        self._begin()
        self.reorder.count_on(before)

    def _begin(self) -> None:
        tuning = self._tuning
        self.reorder = Reorder(self, self.patience, tuning.reorder_packets, tuning.reorder_bytes)
        self.assembly = Assembly()
        self.keys = ReceiveKeys(self._tuning.rekey_seconds)
        self._group: _Group | None = None

    # -- 1. its whole number ------------------------------------------------------------------------------------------

    def whole(self, header: Header, path: Path | None) -> Header:
        """`header` with the packet number that its low bits stand for; what is wrong here will not pass the tag."""
        near = max(path.received.seen.highest, 0) if path is not None else 0
        number = unwrap(header.number, near, self.format.number_bits)
        return header if number == header.number else header._replace(number=number)

    # -- 2. is it authentic? ------------------------------------------------------------------------------------------

    def open(self, header: Header, path: Path | None, train: Train, now: float) -> tuple[Header, Opened] | None:
        """
        What a train holds; None when any of it is a replay, forged or under no good key, counted for a train of 1.

        :param header: of the first, with its whole packet number.
        :param path: None when its path id was never seen.
        :returns: `header` with its whole epoch besides.
        """
        alone = train.count == 1
        if path is not None and path.received.seen.fresh_among(header.number, train.count) < train.count:
            self._counts["replayed"] += alone
            return None
        why = "no_key"
        for epoch in self.keys.matching(header.epoch, self.format.epoch_bits):
            key = self.keys.look(epoch, now)
            if key is None:
                continue
            each = header if epoch == header.epoch else header._replace(epoch=epoch)
            try:
                opened = self._opened(key, each, train)
                return None if train.mixed and self._half_new(opened) else (each, opened)
            except Forged:
                why = "forged"
        if why == "forged":
            self.forged += alone
        self._counts[why] += alone
        return None

    def _opened(self, key: Key, header: Header, train: Train) -> Opened:
        """
        The train under this key.

        :raises Forged: a part of it is not.
        """
        format, data = self.format, train.arrival.data[train.at : train.end]
        if train.mixed:
            return open_row(format, key, header, data, train.spacing)
        if header.type == IP and not header.flags & (SEGMENT | FRAGMENT) and not header.compression:
            return open_whole(format, key, header, data, train.spacing)
        if train.count > 1 and header.type == IP:
            bits, count = format.sequence_bits, train.count
            fresh = self.reorder.fresh_among(header.lane, header.sequence, bits, count)
            if fresh in (0, count):  # none came before, by another path, or all did: joined where they are opened
                joined = open_run(format, key, header, data, train.spacing)
                if joined is not None:
                    return joined
        return open_each(format, key, header, data, train.spacing)

    @property
    def overrun(self) -> bool:
        """Whether more was forged than a session may bear."""
        return self.forged >= self._forgery_limit

    # -- 3. is it new? ------------------------------------------------------------------------------------------------

    def take(self, header: Header, opened: Opened, now: float, effects: Effects) -> None:
        """
        Authentic datagrams of one kind of payload; what may be delivered is, here or in `flush`.

        :param header: of the first; the others follow it within one super packet. LAST says whether its last slice is
            the last of them.
        """
        if header.type == CARRIED:
            header = header._replace(lane=header.lane + LANES)
        lane, out = self.reorder.lane(header.lane), effects.delivers
        sequence = lane.unwrap(header.sequence, self.format.sequence_bits)
        if isinstance(opened, Joined):
            if lane.seen.add_run(sequence, opened.count):
                self._gather(header, sequence, opened, now, out)
            else:
                self._counts["duplicate"] += opened.count
            return
        if isinstance(opened, Row):
            self.flush(now, out)
            self._take_row(header, opened, now, out)
            return
        if isinstance(opened, Packets):
            self.flush(now, out)
            for step, made in enumerate(opened.each):
                if not lane.seen.add(sequence + step):
                    self._counts["duplicate"] += 1
                elif made is None:
                    self._counts["malformed"] += 1
                else:
                    self._pass_on(header, (sequence + step, 1), made, now, out)
            return
        if header.type != CARRIED or not self._take_run(header, sequence, opened, effects):
            self._take_each(header, sequence, opened, now, effects)

    def _half_new(self, row: Opened) -> bool:
        """Whether some slices of a super packet came before, by another path, and others did not: each is looked at."""
        bits = self.format.sequence_bits
        assert isinstance(row, Row)  # of a mixed train
        return any(
            many > 1 and 0 < self.reorder.fresh_among(lane, sequence, bits, many) < many
            for _, lane, sequence, many in row.units
        )

    def _take_row(self, header: Header, row: Row, now: float, out: list[bytearray]) -> None:
        """Packets of many flows."""
        reorder, bits, sources, payload = self.reorder, self.format.sequence_bits, self.sources, 0
        for made, number, low, many in row.units:
            lane = reorder.lane(number)
            sequence = lane.unwrap(low, bits)
            if not lane.seen.add_run(sequence, many):
                self._counts["duplicate"] += many
            elif made is None:
                self._counts["malformed"] += many
            elif many == 1 and sequence == lane.expected and not lane.held and (sources is None or made[1] in sources):
                lane.expected = sequence + 1
                payload += len(made[0]) - VNET_HDR
                out.append(made[0])
            else:
                self._pass_on(header._replace(lane=number), (sequence, many), made, now, out)
        self.payload += payload

    def _take_run(self, header: Header, sequence: int, opened: list[bytes], effects: Effects) -> bool:
        """Carried datagrams that are whole, new and in their order, all at once; False for others: nothing is done."""
        if header.flags & FRAGMENT or header.compression:
            return False
        if not self.reorder.follows(header.lane, sequence, len(opened)):
            return False
        run = decode_run(opened) if len(opened) > 1 else None
        if run is not None:
            self.payload += sum(map(len, run.datagrams))
            effects.carried.append((self._peer, run))
            return True
        for plaintext in opened:
            try:
                carried = decode_carried(plaintext)
            except MalformedFrame:
                self._counts["malformed"] += 1
                continue
            self.payload += len(carried.data)
            effects.carried.append((self._peer, carried))
        return True

    def _take_each(self, header: Header, sequence: int, opened: list[bytes], now: float, effects: Effects) -> None:
        """The same for plaintexts of which each is seen to."""
        lane = self.reorder.lane(header.lane)
        for step, plaintext in enumerate(opened):
            if not lane.seen.fresh(sequence + step):
                self._counts["duplicate"] += 1
                continue
            flags = header.flags if step == len(opened) - 1 else header.flags & ~LAST
            each = header._replace(place=header.place + step, flags=flags)
            whole = self._whole(each, sequence + step, plaintext, now)
            if whole is None:
                continue
            lane.seen.add(sequence + step)
            if header.type == CARRIED:
                self._pass_carried(each, sequence + step, whole, now, effects)
            else:
                self._gather(each, sequence + step, whole, now, effects.delivers)

    def _whole(self, header: Header, sequence: int, plaintext: bytes, now: float) -> bytes | None:
        """The plaintext, put together and unpacked; None when pieces are missing or it is no good (counted)."""
        try:
            if header.flags & FRAGMENT:
                whole = self.assembly.add(header.lane, sequence, plaintext, now)
                if whole is None:
                    return None
                plaintext = whole
            return decompress(plaintext, header.compression)
        except MalformedFrame:
            self._counts["malformed"] += 1
            return None

    # -- 4. slices become a packet ------------------------------------------------------------------------------------

    def _gather(self, header: Header, sequence: int, piece: bytes | Joined, now: float, out: list[bytearray]) -> None:
        """Add slices to the super packet that is being joined, or begin another."""
        group = self._group
        if group is not None:
            if group.takes(header, sequence, piece):
                return
            self.flush(now, out)
        self._group = _Group(header, sequence, piece)
        if not header.flags & SEGMENT:
            self.flush(now, out)

    def flush(self, now: float, out: list[bytearray]) -> None:
        """Join what was gathered and put it in its order; called at the end of every batch."""
        group, self._group = self._group, None
        if group is None:
            return
        try:
            made = self._packet(group)
        except MalformedFrame:
            self._counts["malformed"] += 1
            return
        self._pass_on(group, (group.sequence, group.count), made, now, out)

    @staticmethod
    def _packet(group: _Group) -> tuple[bytearray, bytes]:
        """
        What was gathered as a TUN takes it, and its source address.

        :raises MalformedFrame: it is no packet.
        """
        if group.flags & SEGMENT:
            return join(group.pieces, group.first, bool(group.flags & LAST))
        assert not isinstance(group.pieces[0], Joined)
        made = CORE.single(group.pieces[0], group.flags)
        if made is None:
            raise MalformedFrame("no IP packet")
        return made

    # -- 5. the packet in its order -----------------------------------------------------------------------------------

    def _pass_on(
        self, of: Header | _Group, at: tuple[int, int], made: tuple[bytearray, bytes], now: float, out: list[bytearray]
    ) -> None:
        """
        Put a packet in its order, if its source is one that the peer may use.

        :param at: its sequence, unwrapped, and how many it takes.
        :param made: the packet, and its source address.
        """
        packet, source = made
        if self.sources is not None and source not in self.sources and not self.networks.owner(source):
            self._counts["spoofed"] += 1
            return
        size = len(packet)
        self.payload += size - VNET_HDR
        if at[1] > 1:
            self.payload += (at[1] - 1) * int(VNET.unpack_from(packet)[2])
        held = Held(*at, packet, size, of.sent_at)
        self.reorder.accept(of.lane, held, bool(of.flags & ORDERED), now, out)

    def _pass_carried(self, of: Header, sequence: int, whole: bytes, now: float, effects: Effects) -> None:
        """The same for what is carried: who takes it knows which carries this peer may use."""
        try:
            single = decode_carried(whole)
        except MalformedFrame:
            self._counts["malformed"] += 1
            return
        self.payload += len(single.data)
        carried: tuple[str, Carried | CarriedRun] = self._peer, single
        held = Held(sequence, 1, carried, len(whole), of.sent_at)
        self.reorder.accept(of.lane, held, bool(of.flags & ORDERED), now, effects.carried)

    def repaired_within(self) -> float:
        """Seconds in which what is lost on any usable path has been sent again and is here."""
        rtts = [path.rtt.smoothed or UNKNOWN for path in self._paths.values() if path.life.usable]
        farthest = max(rtts, default=UNKNOWN)
        return (1 + SHARE) * farthest + DELAY

    def passed(self, sent_at: int) -> bool:
        """Whether each path has brought something that was sent after that time: it keeps its own order."""
        usable = (path.received.sent_seen for path in self._paths.values() if path.life.usable)
        return all(seen is not None and not_before(seen, sent_at + 1) for seen in usable)
