"""
Machines that come by WireGuard: phones, and whatever else has its stock app and no morphnet.

They are leased inner addresses as clients are, and the records say who they are; the device is WireGuard's, in the
kernel or in a child of ours (`net/wireguard`). All that is done here is done in one look, again and again, and at once
when somebody asks: read the records, have the device if it is wanted, see what it tells, and make it know those who may
come, and nobody else. So what has ended, or was changed by somebody, is as it shall be after the next look.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.logger import Logger

from morphnet.config.roles import ServerConfig
from morphnet.errors import ConfigError, HostError, MalformedFrame
from morphnet.host.phone_policy import Known, phone_lines
from morphnet.net.wireguard import Device
from morphnet.roles.server.accounting import Meter
from morphnet.status import PhonesStatus, PhoneStatus
from morphnet.store.base import Lease, PhoneRecord, Store
from morphnet.store.phones import NEVER, Heard, Whereabouts
from morphnet.wire.wireguard import Peer, Seen, Told, difference

LOOK_EVERY = 2.0  # seconds between looks
GONE_AFTER = 180.0  # seconds after its last handshake at which a peer's keys have ended: WireGuard, section 6.1
CALL_EVERY = 5  # seconds between words to one that is called
SOON, LATE = 1.0, 60.0  # seconds until a device that has ended is made again: twice as long each time
SOUND_AFTER = 60.0  # seconds after which it counts as one that stays


class Ground(Protocol):
    """The machine that this server runs on."""

    def wireguard_up(self, device: str) -> bool:
        """
        Have the kernel make the device, or make ready for a child that does: whether the kernel did.

        :raises HostError: the machine refuses.
        """
        ...

    def phones_are(self, device: str, mtu: int, addresses: Sequence[str]) -> None:
        """
        Lead these addresses to the device, and no others.

        :raises HostError: it cannot be written down.
        """
        ...

    def phones_judged(self, device: str, lines: Sequence[str] | None) -> None:
        """
        Judge them by the policy as it is in these lines of `host.phone_policy`; None for no policy.

        :raises HostError: the machine refuses.
        """
        ...

    def phones_refused(self) -> tuple[int, int]:
        """
        Packets of phones, and for phones, that were dropped since they are judged as they are now.

        :raises HostError: the machine does not tell.
        """
        ...

    def wireguard_down(self) -> None:
        """All as it was without the device."""
        ...


class NoGround:
    """No machine."""

    def wireguard_up(self, device: str) -> bool:
        """:raises HostError: there is none."""
        raise HostError("there is no machine to have WireGuard")

    def phones_are(self, device: str, mtu: int, addresses: Sequence[str]) -> None:
        """Nothing is led anywhere."""

    def phones_judged(self, device: str, lines: Sequence[str] | None) -> None:
        """Nor judged."""

    def phones_refused(self) -> tuple[int, int]:
        """None of either."""
        return 0, 0

    def wireguard_down(self) -> None:
        """It is."""


@dataclass(frozen=True)
class Around:
    """What there is around it."""

    store: Store
    whereabouts: Whereabouts
    ground: Ground
    make: Callable[[str, bool, Callable[[str], None]], Device]  # name, whether by the kernel, who is told of its end
    key: Callable[[], str]  # our private key; made when there is none
    meter: Meter
    now: Callable[[], float]  # the data plane's clock
    wall: Callable[[], float]  # Unix seconds
    tell: Callable[[str, str, str], None]  # kind, phone, sentence: for the history


@dataclass(slots=True)
class _Phone:
    """What is known of one of them."""

    record: PhoneRecord
    inner: tuple[str, ...] = ()
    refused: str = ""  # why it may not come now
    seen: Seen | None = None  # as the device told last
    heard: Heard = NEVER  # whatever became of the device since
    sent: int = 0  # bytes to it since we began
    received: int = 0
    connected: bool = False

    def peer(self, now: float) -> Peer:
        """
        As the device shall have it: one that has not heard it yet, though we have, calls it.

        :param now: Unix seconds.
        """
        allowed = sorted(f"{each}/{128 if ':' in each else 32}" for each in self.inner)
        calls = self.heard.within(GONE_AFTER, now) and (self.seen is None or not self.seen.handshake_at)
        keepalive, last = (CALL_EVERY, self.heard.endpoint) if calls else (0, "")
        return Peer(self.record.public_key, self.record.preshared_key, tuple(allowed), keepalive, last)


class Phones:
    """Of one server."""

    _log = Logger()

    def __init__(self, config: ServerConfig, around: Around) -> None:
        self._config, self._around = config, around
        self._phones: dict[str, _Phone] = {}
        self._device: Device | None = None
        self._led: object = None  # where the machine leads to phones, as it was told last
        self._judged: object = None  # and what it judges them by
        self.refused = 0, 0  # packets of phones, and for phones, that the policy did not let through since our start
        self._refused = 0, 0  # of these, as the machine told last
        self.judging: Callable[[], Known | None] = lambda: None  # tells that; None for no policy
        self._up_at = self._again_at = float("-inf")
        self._wait = SOON  # before the next one
        self._trouble = ""  # why there is no device though one is wanted
        self.ended = 0  # times that one has ended, or could not begin
        self._stopped = False
        self.leased: Callable[[Lease], None] = lambda lease: None  # told of the addresses of each
        self._alone = DeferredLock()

    def holds(self, name: str) -> bool:
        """Whether that is the name of one of them."""
        return name in self._phones

    def reconfigure(self, config: ServerConfig) -> None:
        """Live by these settings."""
        self._config = config
        self._again_at, self._wait = float("-inf"), SOON
        self.look()

    # -- looking -----------------------------------------------------------------------------------------------------

    def look(self) -> Deferred[None]:
        """Make all be as it shall be, one look after the other; it never fails."""
        looked: Deferred[None] = self._alone.run(lambda: Deferred.fromCoroutine(self._look()))
        return looked.addErrback(lambda failure: self._log.failure("the look at phones failed", failure))

    def read(self) -> Deferred[PhonesStatus]:
        """Look now; answers with how it stands."""
        return self.look().addCallback(lambda _: PhonesStatus(self.statuses(), self.warnings()))

    async def _look(self) -> None:
        if self._stopped:
            return
        try:
            records = await self._around.store.phones()
            self._know(records, await self._around.store.leases() if records else ())
        except HostError:
            pass  # they are read again soon
        if not self._config.wireguard.port:
            await self._take_down()
        elif self._device is not None or self._around.now() >= self._again_at:
            device = self._device
            try:
                device = device or self._bring_up()
                await self._see(device)
            except (HostError, MalformedFrame, ConfigError) as problem:  # the last of our key's file
                if device is self._device:  # else it has ended meanwhile, and that is told
                    self._lost(str(problem))

    def _know(self, records: Sequence[PhoneRecord], leases: Sequence[Lease]) -> None:
        by_name = {each.name: each for each in leases}
        before, self._phones = self._phones, {}
        for record in records:
            heard = self._around.whereabouts.of(record.public_key)
            known = before.get(record.name) or _Phone(record, heard=heard)
            if known.record != record:
                if known.connected:
                    self._away(known, "phone-gone", "has other keys now")
                known = _Phone(record, sent=known.sent, received=known.received)
            lease = by_name.get(record.name)
            known.inner, known.refused = self._inner_of(lease), ""
            if lease is not None:
                self.leased(lease)
            if not known.inner:
                known.refused = "has no address of the server's pool: invite it anew"
            else:
                known.refused = self._around.meter.refusal(record.name)
            self._phones[record.name] = known
        for name in before.keys() - self._phones.keys():
            self._away(before[name], "phone-revoked", "is revoked: it may not come any more")

    def _inner_of(self, lease: Lease | None) -> tuple[str, ...]:
        pools = [ipaddress.ip_network(each) for each in (self._config.pool4, self._config.pool6) if each]
        held = [each for each in (lease.inner4, lease.inner6) if each] if lease is not None else []
        return tuple(each for each in held if any(ipaddress.ip_address(each) in pool for pool in pools))

    def _bring_up(self) -> Device:
        """:raises HostError: it cannot be."""
        name = self._config.wireguard.device
        by_kernel = self._around.ground.wireguard_up(name)
        self._led, self._judged, self._up_at = None, None, self._around.now()
        self._device = device = self._around.make(name, by_kernel, self._lost)
        self._log.info("phones come by {what}, UDP port {port}", what=device.what, port=self._config.wireguard.port)
        return device

    async def _see(self, device: Device) -> None:
        """
        See what it tells, and make it know whom it shall.

        :raises HostError: it does not answer, or refuses.
        """
        config = self._config.wireguard
        told = await device.told()
        if device is not self._device:
            return  # it has ended meanwhile, and that is told
        self._count(told)
        may, now = [each for each in self._phones.values() if not each.refused], self._around.wall()
        self._judge(config.device, {each.record.name: each.inner for each in may})
        led = config.device, config.phone_mtu, tuple(address for each in may for address in each.inner)
        if led != self._led:
            self._around.ground.phones_are(*led)
            self._led = led
        changes = difference(self._around.key(), config.port, [each.peer(now) for each in may], told)
        if changes:
            await device.change(changes)
        if self._trouble:
            self._around.tell("wireguard", "", "phones can come again")
        self._trouble = ""

    def _judge(self, device: str, phones: dict[str, tuple[str, ...]]) -> None:
        """:raises HostError: the machine refuses."""
        known = self.judging()
        self._count_refused()
        if self._judged != (known, phones):
            self._around.ground.phones_judged(device, phone_lines(known, phones) if known is not None else None)
            self._judged, self._refused = (known, phones), (0, 0)

    def _count_refused(self) -> None:
        """What the machine did not let through since the last look."""
        with suppress(HostError):
            last, now = self._refused, self._around.ground.phones_refused()
            grown = (after - before if after >= before else after for before, after in zip(last, now, strict=True))
            of_phones, for_phones = grown  # it begins anew with whatever is another policy
            self.refused, self._refused = (self.refused[0] + of_phones, self.refused[1] + for_phones), now

    def _count(self, told: Told) -> None:
        """What each has carried since the last look, and whether it is there."""
        seen = {each.peer.public_key: each for each in told.peers}
        for name, phone in self._phones.items():
            here, before = seen.get(phone.record.public_key), phone.seen
            phone.seen = here
            if here is not None:
                anew = before is None or here.sent < before.sent or here.received < before.received
                if here.handshake_at:
                    phone.heard = Heard(here.handshake_at, here.endpoint)
                last = (0, 0) if anew or before is None else (before.sent, before.received)
                sent, received = here.sent - last[0], here.received - last[1]
                if sent or received:
                    phone.sent, phone.received = phone.sent + sent, phone.received + received
                    self._around.meter.add(name, sent, received)
            lately = phone.heard.within(GONE_AFTER, self._around.wall())
            if lately and not phone.connected and not phone.refused:
                phone.connected = True
                self._around.meter.came(name)
                self._around.tell("phone-up", name, "has come by WireGuard")
            elif phone.connected and (not lately or phone.refused):
                why = phone.refused or f"nothing was heard of it for {GONE_AFTER:g} s"
                self._away(phone, "phone-gone", why)

        heard = {each.record.public_key: each.heard for each in self._phones.values() if each.heard.at}
        self._around.whereabouts.are(heard)

    def _away(self, phone: _Phone, kind: str, why: str) -> None:
        if phone.connected:
            phone.connected = False
            self._around.meter.gone(phone.record.name)
        self._around.tell(kind, phone.record.name, why)

    # -- the end of a device -----------------------------------------------------------------------------------------

    def _lost(self, why: str) -> None:
        """It has ended by itself, does not answer, or could not be made: another one is tried later."""
        if self._stopped:
            return
        now = self._around.now()
        wait = SOON if now - self._up_at > SOUND_AFTER else self._wait
        self._again_at, self._up_at, self._wait = now + wait, float("inf"), min(2 * wait, LATE)
        self.ended += 1
        if why != self._trouble:
            self._around.tell("wireguard", "", f"{why}; it is tried again")
            self._log.warn("phones cannot come: {why}", why=why)
        self._trouble = why
        device, self._device = self._device, None
        if device is not None:
            device.stop()
        self._leave()

    def _leave(self) -> None:
        """The machine as it was without a device."""
        for phone in self._phones.values():
            phone.seen = None
        self._count_refused()
        self._refused = 0, 0
        try:
            self._around.ground.wireguard_down()
        except HostError as problem:
            self._log.error("what led to phones is not undone: {problem}", problem=str(problem))

    async def _take_down(self) -> None:
        """Nobody wants phones any more."""
        self._trouble = ""
        device, self._device = self._device, None
        if device is None:
            return
        for phone in self._phones.values():
            if phone.connected:
                self._away(phone, "phone-gone", "the server lets nobody come by WireGuard any more")
        self._leave()
        await device.stop()

    def leave(self) -> None:
        """This process ends: from now on the machine is put back by somebody else."""
        self._stopped = True

    def close(self) -> Deferred[None]:
        """Fires when the device has ended."""
        device, self._device = self._device, None
        return device.stop() if device is not None else succeed(None)

    # -- what ops sees -----------------------------------------------------------------------------------------------

    def statuses(self) -> tuple[PhoneStatus, ...]:
        """By name."""
        return tuple(self._status_of(name, self._phones[name]) for name in sorted(self._phones))

    def _status_of(self, name: str, phone: _Phone) -> PhoneStatus:
        off = "" if self._config.wireguard.port else "`wireguard.listen` is not set: nobody can come"
        why = phone.refused or self._trouble or off
        state = "connected" if phone.connected else "away" if phone.heard.at else "new"
        return PhoneStatus(
            name,
            "refused" if why else state,
            why,
            phone.inner,
            phone.heard.endpoint,
            float(phone.heard.at),
            phone.sent,
            phone.received,
        )

    def counters(self) -> dict[str, int]:
        """For the node's status."""
        here = sum(each.connected for each in self._phones.values())
        of_phones, for_phones = self.refused
        counted = {
            "wireguard_ended": self.ended,
            "policy_refused_of_phones": of_phones,
            "policy_refused_for_phones": for_phones,
        }
        counted = {name: value for name, value in counted.items() if value}
        return {**counted, "phones_connected": here} if self._config.wireguard.port else counted

    def warnings(self) -> tuple[str, ...]:
        """What the operator should see to."""
        homeless = (f"the phone {name} {each.refused}" for name, each in self._phones.items() if not each.inner)
        return (*((f"phones cannot come: {self._trouble}",) if self._trouble else ()), *homeless)
