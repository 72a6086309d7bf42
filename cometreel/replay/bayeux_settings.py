"""From a scenario's `bayeux:` block to the settings of the Bayeux server: what no file says is the server's default."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import cast

from cometreel.bayeux import BayeuxSettings
from cometreel.bayeux.settings import TransportName
from cometreel.scenario import BayeuxSection

__all__ = ["bayeux_settings"]


def bayeux_settings(section: BayeuxSection) -> BayeuxSettings:
    """Turn the block into settings; the wire's milliseconds become seconds."""
    said = {
        "endpoint": section.endpoint,
        "timeout": _seconds(section.timeout_ms),
        "interval": _seconds(section.interval_ms),
        "max_interval": section.max_interval_seconds,
        "multi_session_interval": section.multi_session_interval_seconds,
        "transports": cast("tuple[TransportName, ...] | None", section.transports),
    }
    same_name = {field.name for field in fields(section)} & {field.name for field in fields(BayeuxSettings)}
    said |= {name: getattr(section, name) for name in sorted(same_name - said.keys())}
    return replace(BayeuxSettings(), **{name: value for name, value in said.items() if value is not None})  # type: ignore[arg-type]  # each field has the type of its namesake


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
