"""What every test shares: how Hypothesis searches, and pytest's own means to test a plugin."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

pytest_plugins = ["pytester"]

# A slow machine is no failure. CI always searches the same examples, so that a red run is red again; elsewhere each
# run looks at new ones.
settings.register_profile(
    "cometreel",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("cometreel")
