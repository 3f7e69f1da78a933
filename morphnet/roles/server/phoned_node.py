"""A server that machines reach by WireGuard as well, as `ops` and the control link see it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from morphnet.config.roles import ServerConfig
from morphnet.errors import Refused
from morphnet.net.pump import Pump
from morphnet.ops.verb import Verb
from morphnet.ops.verbs import of_phones as verbs_of_phones
from morphnet.policystatus import PolicyStatus
from morphnet.roles.server.node import Parts, ServerNode
from morphnet.roles.server.phones import Phones
from morphnet.roles.signalling.control_server import Caller
from morphnet.status import PhoneStatus
from morphnet.wire.messages.control import Hello, Welcome


class PhonedNode(ServerNode):
    """
    See ServerNode.

    :param phones: makes those who come by WireGuard, told how to add to the history.
    """

    def __init__(
        self,
        config: ServerConfig,
        pump: Pump,
        parts: Parts,
        entropy: Callable[[int], bytes],
        phones: Callable[[Callable[[str, str, str], None]], Phones],
    ) -> None:
        super().__init__(config, pump, parts, entropy)
        self.phones = phones(self.tell)
        self.phones.leased = self.access.leased  # rules of the network's policy name phones as they do clients
        self.phones.judging, self.access.news = self.access.known, self.phones.look
        self.sections = (*self.sections, "phones")

    async def hello(self, caller: Caller, hello: Hello) -> Welcome:
        if self.phones.holds(caller.name):
            raise Refused(f"{caller.name} comes by WireGuard here: its address cannot be in two places")
        return await super().hello(caller, hello)

    def reload(self) -> str:
        self.phones.look()
        return super().reload()

    def reconfigure(self, config: ServerConfig, keys: Collection[str]) -> str:
        said = super().reconfigure(config, keys)
        if any(key.startswith("wireguard.") for key in keys):
            self.phones.reconfigure(config)
        return said

    def phone_statuses(self) -> tuple[PhoneStatus, ...]:
        return self.phones.statuses()

    def policy_status(self) -> PolicyStatus | None:
        status, (of_phones, for_phones) = super().policy_status(), self.phones.refused
        return None if status is None else replace(status, of_phones=of_phones, for_phones=for_phones)

    def warnings(self) -> tuple[str, ...]:
        return (*super().warnings(), *self.phones.warnings())

    def listening(self) -> tuple[str, ...]:
        port = self.config.wireguard.port
        return (*super().listening(), *((f"udp {port} for WireGuard",) if port else ()))

    def door_counters(self) -> Counter[str]:
        total = super().door_counters()
        total.update(self.phones.counters())
        return total

    def verbs(self) -> Sequence[Verb]:
        return (*super().verbs(), *verbs_of_phones(self.phones))
