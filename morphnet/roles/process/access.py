"""Who may what: the network's policy, as a process that moves packets lives by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from twisted.logger import Logger

from morphnet.config.policy import Policy
from morphnet.errors import HostError
from morphnet.host.here import public_addresses
from morphnet.net.pump import Pump
from morphnet.ops.show_policy import published_at
from morphnet.policystatus import PolicyStatus, RefusedStatus
from morphnet.roles.certificates.revocation_file import Revoked
from morphnet.tunnel.guard import Guard, Refused
from morphnet.tunnel.places import HERE, Places


class Access:
    """
    Has the pump guarded while there is a policy.

    :param revoked: the list that brings the policy.
    :param tell: (kind, peer, sentence) for the node's history.
    """

    _log = Logger()

    def __init__(self, pump: Pump, revoked: Revoked | None, tell: Callable[[str, str, str], None]) -> None:
        self._pump, self._revoked, self._tell = pump, revoked, tell
        self.places = Places()
        self.public: tuple[str, ...] = ()  # addresses of this machine
        self._unseen = ""  # why they are not known now
        self._guard: Guard | None = None  # the last one, in force or not
        self._sequence = 0  # of what is in force
        self.look()

    def look(self) -> None:
        """Live by the policy that has come; called whenever one may have."""
        published = self._revoked.policy if self._revoked is not None else None
        if published is None or published.sequence == self._sequence:
            return
        self._sequence, policy = published.sequence, published.policy
        if self._guard is None:
            self._guard = Guard(policy, self.places, self._refused, self.look_around)
            self.places.changed = self._guard.forget
        else:
            self._guard.obey(policy)
        self._pump.guard = None if policy.is_open else self._guard
        said = "is withdrawn: everybody may everything" if policy.is_open else f"is in force: {len(policy.rules)} rules"
        self._tell("policy", "", f"the policy of {published_at(self._sequence)} {said}")
        self.changed()

    def changed(self) -> None:
        """Another policy is in force."""

    @property
    def ourselves(self) -> tuple[str, ...]:
        """What rules call this machine."""
        return ()

    def look_around(self) -> None:
        """Public addresses that are ours now are not of the world, whatever device has them."""
        try:
            self.public, self._unseen = public_addresses(), ""
        except HostError as trouble:
            if str(trouble) != self._unseen:
                self._log.warn("those of before are taken for ours: {trouble}", trouble=str(trouble))
            self._unseen = str(trouble)
        self.places.are(HERE, dict.fromkeys(self.public, self.ourselves))

    @property
    def policy(self) -> Policy | None:
        """What is in force; None when everybody may everything."""
        return self._guard.policy if self._guard is not None and not self._guard.policy.is_open else None

    @property
    def named(self) -> frozenset[str]:
        """All machines that the policy names."""
        return self._guard.policy.named if self._guard is not None else frozenset()

    def _refused(self, refused: Refused) -> None:
        peer = refused.source if refused.source in self._pump.tunnel.sessions else ""
        text = f"{refused.source} may not reach {refused.target} at {refused.what}: the policy has no rule for it"
        self._tell("refused", peer, text)

    # -- what ops sees -------------------------------------------------------------------------------------------------

    def status(self) -> PolicyStatus | None:
        """None where there is no policy."""
        guard = self._guard
        if guard is None:
            return None
        refused = tuple(RefusedStatus(*each, packets) for each, packets in guard.refused.values())
        return PolicyStatus(self._sequence, len(guard.policy.rules), not guard.policy.is_open, refused)

    def counters(self) -> Counter[str]:
        """Of all policies since the start."""
        return self._guard.counts if self._guard is not None else Counter()

    def warnings(self) -> tuple[str, ...]:
        """What the operator should see to."""
        unread = self._revoked.unread if self._revoked is not None else ""
        last = f"that of {published_at(self._sequence)} stays in force" if self._sequence else "none is in force"
        return (f"the network has a new policy that this version does not read: {last}; {unread}",) if unread else ()
