"""Builds the package. With `COMETREEL_COMPILE=1` the engine is compiled with mypyc; everything else is in setup.cfg.

The modules that run for each request are compiled, those of load tests included. Compiling requires mypy only: the
types of packages that are not installed, such as gevent, are unknown then, and their objects are used as in pure
Python. Left out are:

- `jsonvalue`: a compiled function converts the `float` that it is given, so a number would lose its digits (`1.50`).
- modules whose classes others extend, such as `errors`, and pydantic models, such as `scenario/model`.
- `scenario/exchange_reader`, `runtime_changes`, `value_markers` and others that run when a scenario is loaded.
- `engine/bound_values`, `given_up`, `log_limiter`, `near_misses`, `responders`, `scenario/runtime_expressions` and
  `regular_expression`: few requests need them.
- `engine/driver` and `serve`: without optimisation, a POST in memory was not faster.
- `load/owner_kinds`: `AnyAnswer` of `locust_agents/scenario_script`, which isn't compiled, extends `Expectation`.

Dataclasses that are created for each request have a written `__init__`, because the generated one is not compiled.
"""

from __future__ import annotations

import os
from pathlib import Path

from setuptools import Extension, setup

COMPILED = {
    "": "bounded_cache http_fields identity wire",
    "bayeux": "browsers channels client client_events client_states deadlines delivery dialects message_handlers "
    "message_processor messages outbox registry reply_channels request_context server session settings "
    "subscriptions transport",
    "engine": "actions backend bayeux_application counters faults handler id_generator matching "
    "notification_router play_state player prepared_scenario rendering request_journal scheduling session_finder "
    "session_roles sessions static_responses",
    "load": "arrivals latency ledger mix outcomes tally time_series",
    "locust_agents": "agent agent_identity connection event_loop http_client long_polling request_queue",
    "scenario": "compiled exchange json_pointer matchers normalized_request request_pattern specs values",
}
"""The compiled modules of each package."""


def extensions() -> list[Extension]:
    """Return the C extension of the compiled modules; none unless `COMETREEL_COMPILE` is 1."""
    if os.environ.get("COMETREEL_COMPILE") != "1":
        return []
    from mypyc.build import mypycify  # noqa: PLC0415  # part of mypy, which other builds don't need

    modules = [Path("cometreel", package, name) for package, names in COMPILED.items() for name in names.split()]
    options = ["--config-file=", "--follow-imports=silent", "--ignore-missing-imports"]
    return mypycify(
        [*options, *[f"{module}.py" for module in modules]],
        opt_level=os.environ.get("COMETREEL_OPTIMIZE", "3"),
        debug_level="0",
        group_name="cometreel",
    )


setup(ext_modules=extensions())
