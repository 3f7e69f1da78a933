"""The tests; how hypothesis behaves in all of them is set here, once."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# No deadline: machines are noisy. In CI the examples are the same at every run, so that a red run can be repeated.
# MORPHNET_EXAMPLES=10000 looks harder: see docs/architecture, "Tests".
EXAMPLES = int(os.environ.get("MORPHNET_EXAMPLES", "100"))
settings.register_profile(
    "morphnet",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    database=None,
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("morphnet")


def at_least(count: int) -> settings:
    """For parsers of what strangers send: more than the others get, or as many as were asked for."""
    return settings(max_examples=max(count, EXAMPLES))
