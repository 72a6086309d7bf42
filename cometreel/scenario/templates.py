"""Templates: sandboxed Jinja2, compiled at load, deterministic.

A template that consists of one `{{ expression }}` keeps the type of its value; any other renders text. `uuid()` and
`randint()` are derived from the seed of the play.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import jinja2
from jinja2 import meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from cometreel import jsonvalue
from cometreel.errors import InputError
from cometreel.jsonvalue import JSON

__all__ = ["SeededRandom", "Template", "TemplateFailed", "check_template", "template", "undefined_names"]

GLOBAL_NAMES = frozenset({"range", "dict", "namespace"})
_SINGLE_EXPRESSION = re.compile(r"\{\{[-+]?(.*?)[-+]?\}\}", re.DOTALL)
_MAPPING_METHODS = frozenset({"get", "items", "keys", "values"})
_LARGEST = 1_000_000
"""The limit of list items or characters that `*` may create."""
_LONGEST_POWER = 4096
"""The limit of bits in a result of `**`."""


class TemplateFailed(InputError):
    """A template can't be evaluated for this request: its position (`where`), its `text`, the `reason`."""

    def __init__(self, text: str, reason: str, where: str = "") -> None:
        self.text, self.reason, self.where = text, reason, where
        super().__init__(f"{where + ': ' if where else ''}the template {text!r} failed: {reason}")


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja2 in which members of an object take precedence over its methods, and nothing is evaluated at load."""

    intercepted_binops = frozenset({"*", "**"})

    def __init__(self) -> None:
        super().__init__(undefined=jinja2.StrictUndefined, finalize=_as_text, autoescape=False)
        for name in set(self.globals) - GLOBAL_NAMES:
            del self.globals[name]
        del self.filters["random"]

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping):
            if attribute in obj:
                return obj[attribute]
            if attribute not in _MAPPING_METHODS:
                return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any) -> Any:
        sizes = [len(one) for one in (left, right) if isinstance(one, str | list | tuple)]
        numbers = [abs(one) for one in (left, right) if isinstance(one, int)]
        if operator == "*" and sizes and numbers and sizes[0] * numbers[0] > _LARGEST:
            raise SecurityError("the result is too large")
        if operator == "**" and len(numbers) == 2 and numbers[0].bit_length() * numbers[1] > _LONGEST_POWER:
            raise SecurityError("the result is too large")
        return super().call_binop(context, operator, left, right)


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


_ENVIRONMENT = _Environment()


@dataclass(frozen=True, slots=True)
class Template:
    """One compiled template. `names` are the variables that it reads."""

    text: str
    names: frozenset[str]
    evaluate: Callable[..., object]

    def render(self, variables: Mapping[str, object], where: str = "") -> JSON:
        """Evaluate to a JSON value.

        :raises TemplateFailed: if a name is undefined, or the result can't be evaluated or isn't JSON.
        """
        try:
            value = self.evaluate(variables)
            if isinstance(value, jinja2.Undefined):
                str(value)  # StrictUndefined raises the error here
            return _json(value)
        except jinja2.UndefinedError as error:
            reason = error.message or "something is undefined"
        except (
            jinja2.TemplateError,
            ArithmeticError,
            AttributeError,
            LookupError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            reason = f"{type(error).__name__}: {error}"
        raise TemplateFailed(self.text, reason, where)


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
    tree = _ENVIRONMENT.parse(text)
    names = frozenset(meta.find_undeclared_variables(tree))
    single = _SINGLE_EXPRESSION.fullmatch(text.strip()) if _is_single_expression(tree) else None
    if single is not None:
        expression = _ENVIRONMENT.compile_expression(single[1], undefined_to_none=False)
        return Template(text, names, expression)
    return Template(text, names, _ENVIRONMENT.from_string(text).render)


def _is_single_expression(tree: nodes.Template) -> bool:
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output):
        return False
    parts = [
        part for part in tree.body[0].nodes if not (isinstance(part, nodes.TemplateData) and not part.data.strip())
    ]
    return len(parts) == 1 and not isinstance(parts[0], nodes.TemplateData)


def check_template(text: str) -> str:
    """Return the syntax error of a template, or an empty text."""
    try:
        template(text)
    except jinja2.TemplateSyntaxError as error:
        line = f" in line {error.lineno}" if "\n" in text else ""
        return f"the template {text!r} is invalid{line}: {error.message}"
    except (RecursionError, ValueError, OverflowError, MemoryError) as error:
        return f"the template {text!r} is invalid: {type(error).__name__}"
    return ""


def undefined_names(text: str, defined: frozenset[str]) -> list[str]:
    """Return the names that a template uses and that aren't defined."""
    return sorted(template(text).names - defined - GLOBAL_NAMES)


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
