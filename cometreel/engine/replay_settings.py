"""The settings of a replay. The command line overrides the scenario file, which overrides the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal, TypeAlias, cast, get_args

from cometreel.cors import is_origin
from cometreel.errors import OptionInvalid
from cometreel.jsonvalue import JSON
from cometreel.scenario.compiled import Repeat

__all__ = ["Auth", "Repeat", "ReplaySettings", "Unmatched"]

Unmatched: TypeAlias = Literal["fail", "forward"]
Auth: TypeAlias = Literal["open", "session", "csrf"]

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "repeat": get_args(Repeat),
    "unmatched": get_args(Unmatched),
    "auth": get_args(Auth),
}


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """The settings of a replay."""

    seed: str | None = None
    """The seed of generated values and opaque ids; None gives the same values, but new ids in each run."""
    speed: float = 1.0
    """The speed: 2 is twice as fast, 0 is without delays. Bayeux's own timers are not scaled."""
    repeat: Repeat = "last"
    """The rule when the recorded answers to equal requests are used up, unless the exchange sets `repeat`."""
    unmatched: Unmatched = "fail"
    """The answer to unmatched requests: an error, or for GETs that of the real server."""
    auth: Auth = "open"
    """Authentication required: none, a login, or a login and the CSRF token."""
    cors: tuple[str, ...] = ()
    """The origins whose pages may use the replay; `*` allows any."""
    node: str | None = None
    """The name of this node, appended to each JSESSIONID for a sticky balancer (`id.node`)."""
    max_body: int = 16 * 1024 * 1024
    """The maximum size of a request body in bytes; a larger one gets 413."""
    max_waiting: int = 1000
    """The maximum number of notifications kept for a session without a CometD client; the oldest are given up."""
    max_calls: int = 10_000
    """The number of latest calls that the journal keeps."""

    def under(self, given: Mapping[str, JSON]) -> ReplaySettings:
        """Return these settings with the given ones replaced.

        From low to high priority: `ReplaySettings().under(scenario.settings).under(command_line)`.

        :raises OptionInvalid: if a name is unknown or a value can't be used.
        """
        known = [field.name for field in fields(self)]
        changed = {}
        for name, value in given.items():
            if name not in known:
                raise OptionInvalid(name, "is not a setting of a replay", f"one of {', '.join(known)}")
            changed[name] = _checked(name, value)
        return replace(self, **changed)  # type: ignore[arg-type]  # each value was checked against its own name above

    @property
    def scale(self) -> float:
        """The factor of every `after`."""
        return 1 / self.speed if self.speed else 0.0


def _checked(name: str, value: JSON) -> JSON:
    """Return the value with the type of this setting."""
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise OptionInvalid(name, f"{value!r} is not a choice", f"one of {', '.join(_CHOICES[name])}")
        return value
    if name == "cors":
        return _origins(value)
    if name in ("seed", "node"):
        if value is None or (isinstance(value, (str, int)) and not isinstance(value, bool)):
            return None if value is None else str(value)
        raise OptionInvalid(name, f"{value!r} is not text", "text")
    return _number(name, value)


def _origins(value: object) -> JSON:
    origins = [value] if isinstance(value, str) else list(value) if isinstance(value, (list, tuple)) else [value]
    for origin in origins:
        if not isinstance(origin, str) or not is_origin(origin):
            expected = "an origin without a path, such as http://localhost:3000, or * for any"
            raise OptionInvalid("cors", f"{origin!r} is not an origin", expected)
    return tuple(origins)  # type: ignore[return-value]  # a tuple, because settings are hashable


def _number(name: str, value: JSON) -> float | int:
    whole = name.startswith("max_")
    try:
        number = int(cast(int, value)) if whole else float(cast(float, value))
    except (TypeError, ValueError, OverflowError):
        number = -1
    if isinstance(value, bool) or not 0 <= number < float("inf"):
        raise OptionInvalid(name, f"{value!r} can't be used", "a number, 0 or more")
    return number
