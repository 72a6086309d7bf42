"""Builds the package. With `COMETREEL_COMPILE=1` the engine is compiled with mypyc; everything else is in setup.cfg.

The modules that run for each request are compiled. `jsonvalue` stays Python: a compiled function converts the `float`
that it is given, so that a number would lose its digits (`1.50`). So do modules whose classes others extend.
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
    "engine": "actions backend bayeux_application counters faults handler id_generator matching notification_router "
    "play_state player prepared_scenario rendering request_journal scheduling session_finder session_roles sessions "
    "static_responses",
    "scenario": "compiled exchange json_pointer matchers normalized_request request_pattern specs values",
}
"""The compiled modules of each package."""


def extensions() -> list[Extension]:
    """Return the C extension of the compiled modules; none unless `COMETREEL_COMPILE` is 1."""
    if os.environ.get("COMETREEL_COMPILE") != "1":
        return []
    from mypyc.build import mypycify  # noqa: PLC0415  # part of mypy, which other builds don't need

    modules = [Path("cometreel", package, name) for package, names in COMPILED.items() for name in names.split()]
    return mypycify(
        ["--follow-imports=silent", *[f"{module}.py" for module in modules]],
        opt_level=os.environ.get("COMETREEL_OPTIMIZE", "3"),
        debug_level="0",
        group_name="cometreel",
    )


setup(ext_modules=extensions())
