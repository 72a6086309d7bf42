"""Templates: sandboxed Jinja2, compiled at load, deterministic.

A template that consists of one `{{ expression }}` keeps the type of its value; any other renders text. `uuid()` and
`randint()` are derived from the seed of the play.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import UUID

from cometreel import jsonvalue
from cometreel.errors import InputError
from cometreel.jsonvalue import JSON

if TYPE_CHECKING:
    from cometreel.scenario.template_environment import Evaluate, TemplateEnvironment

__all__ = ["SeededRandom", "Template", "TemplateFailed", "check_template", "template", "undefined_names"]

GLOBAL_NAMES = frozenset({"range", "dict", "namespace"})


class TemplateFailed(InputError):
    """A template can't be evaluated for this request: its position (`where`), its `text`, the `reason`."""

    def __init__(self, text: str, reason: str, where: str = "") -> None:
        self.text, self.reason, self.where = text, reason, where
        super().__init__(f"{where + ': ' if where else ''}the template {text!r} failed: {reason}")


def _as_text(value: object) -> object:
    """Format a value inside other text: JSON values as JSON, times in ISO 8601."""
    if isinstance(value, datetime):
        return _iso(value)
    if value is None or isinstance(value, bool | dict | list):
        return jsonvalue.encode(value).decode()
    return value


def _iso(value: datetime) -> str:
    moment = value.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds").replace("+00:00", "Z")


def _environment() -> TemplateEnvironment:
    from cometreel.scenario.template_environment import template_environment  # noqa: PLC0415  # Jinja2, 20 ms

    return template_environment(GLOBAL_NAMES, _as_text)


@dataclass(frozen=True, slots=True)
class Template:
    """One compiled template. `names` are the variables that it reads."""

    text: str
    names: frozenset[str]
    evaluate: Evaluate

    def render(self, variables: Mapping[str, object], where: str = "") -> JSON:
        """Evaluate to a JSON value.

        :raises TemplateFailed: if a name is undefined, or the result can't be evaluated or isn't JSON.
        """
        value, reason = self.evaluate(variables)
        if reason:
            raise TemplateFailed(self.text, reason, where)
        return value


def _json(value: object) -> JSON:
    """Convert the result of an expression to JSON."""
    if isinstance(value, datetime):
        return _iso(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float) and value - value != 0:
        raise ValueError(f"{value} is not a number of JSON")
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): _json(member) for key, member in value.items()}
    if isinstance(value, list | tuple | range):
        return [_json(item) for item in value]
    raise TypeError(f"{type(value).__name__} is not a JSON value")


@lru_cache(maxsize=16384)
def template(text: str) -> Template:
    """Compile a template.

    :raises jinja2.TemplateSyntaxError: if its syntax is invalid.
    """
    names, evaluate = _environment().compiled(text, _json)
    return Template(text, names, evaluate)


def check_template(text: str) -> str:
    """Return the syntax error of a template, or an empty text."""
    try:
        template(text)
    except _environment().syntax_error as error:
        line = f" in line {error.lineno}" if "\n" in text else ""
        return f"the template {text!r} is invalid{line}: {error.message}"
    except (RecursionError, ValueError, OverflowError, MemoryError) as error:
        return f"the template {text!r} is invalid: {type(error).__name__}"
    return ""


def undefined_names(text: str, defined: frozenset[str]) -> list[str]:
    """Return the names that a template uses and that aren't defined."""
    return sorted(template(text).names - defined)


class SeededRandom:
    """The template functions `uuid()` and `randint()`: the same seed and place give the same values.

    Without a name, each call within one reply or event gives a new value. With a name, the value is the same in the
    reply and all events of the play.
    """

    def __init__(self, seed: str, place: str) -> None:
        self._seed = seed
        self._place = place
        self._calls = 0

    def _bytes(self, name: str | None) -> bytes:
        label = f"name/{name}"
        if name is None:
            label = f"call/{self._place}/{self._calls}"
            self._calls += 1
        return hashlib.sha256(f"{len(self._seed)}/{self._seed}/{label}".encode(errors="surrogatepass")).digest()

    def uuid(self, name: str | None = None) -> str:
        """Return a version 4 UUID."""
        return str(UUID(bytes=self._bytes(name)[:16], version=4))

    def randint(self, low: int, high: int, name: str | None = None) -> int:
        """Return a whole number from `low` to `high`, both included."""
        if high < low:
            raise ValueError(f"randint({low}, {high}): the range is empty")
        return low + int.from_bytes(self._bytes(name), "big") % (high - low + 1)
