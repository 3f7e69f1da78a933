"""The tests; how hypothesis behaves in all of them is set here, once."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# No deadline: machines are noisy. In CI the examples are the same at every run, so that a red run can be repeated.
# MORPHNET_EXAMPLES=10000 looks harder.
settings.register_profile(
    "morphnet",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    database=None,
    max_examples=int(os.environ.get("MORPHNET_EXAMPLES", "100")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("morphnet")
