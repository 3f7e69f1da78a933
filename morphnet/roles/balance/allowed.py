"""Which uplinks new flows may be dealt out to, as [uplinks.NAME] says."""

from __future__ import annotations

from collections.abc import Sequence

from morphnet.config.roles import ClientConfig
from morphnet.config.uplinks import policy_for
from morphnet.host.uplinks import Uplink


def allowed(config: ClientConfig, uplinks: Sequence[Uplink]) -> tuple[list[Uplink], list[str]]:
    """
    :returns: the uplinks that may be used; the names of those that are for when no other leads out.
    """
    policies = config.policies()
    uses = {each.name: policy_for(each.name, policies) for each in uplinks}
    spared = [name for name, use in uses.items() if use.backup or use.metered]
    return [each for each in uplinks if not uses[each.name].never], [*config.balance.last, *spared]
