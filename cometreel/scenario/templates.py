"""Templates: Jinja2, sandboxed, compiled at load, deterministic.

A template that is one `{{ expression }}` keeps the type of its value; any other is text. `uuid()` and `randint()`
come from the seed of the play; nothing else here is random or knows the time.
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

__all__ = ["Dice", "Template", "TemplateFailed", "check_template", "template", "undefined_names"]

GLOBAL_NAMES = frozenset({"range", "dict", "namespace"})
_LONE = re.compile(r"\{\{[-+]?(.*?)[-+]?\}\}", re.DOTALL)
_MAPPING_METHODS = frozenset({"get", "items", "keys", "values"})
_LARGEST = 1_000_000
"""Items of a list or characters of a text that `*` may make."""
_LONGEST_POWER = 4096
"""Bits of a number that `**` may make."""


class TemplateFailed(InputError):
    """A template that can't be evaluated for this request: `where` it stands, the template's `text`, the `reason`."""

    def __init__(self, text: str, reason: str, where: str = "") -> None:
        self.text, self.reason, self.where = text, reason, where
        super().__init__(f"{where + ': ' if where else ''}the template {text!r} failed: {reason}")


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja2 without Python's surprises: members of an object win over its methods, nothing folds at load."""

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
    """What `{{ }}` writes inside other text: JSON's spelling for JSON values, ISO 8601 for times."""
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

        :raises TemplateFailed: if a name is undefined, the expression can't be evaluated, or gives no JSON.
        """
        try:
            value = self.evaluate(variables)
            if isinstance(value, jinja2.Undefined):
                str(value)  # a strict one raises what is missing
            return _plain(value)
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


def _plain(value: object) -> JSON:
    """The JSON value that an expression's result is."""
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
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple | range):
        return [_plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} is not a JSON value")


@lru_cache(maxsize=16384)
def template(text: str) -> Template:
    """Compile a template.

    :raises jinja2.TemplateSyntaxError: if it isn't one.
    """
    tree = _ENVIRONMENT.parse(text)
    names = frozenset(meta.find_undeclared_variables(tree))
    lone = _LONE.fullmatch(text.strip()) if _is_lone(tree) else None
    if lone is not None:
        expression = _ENVIRONMENT.compile_expression(lone[1], undefined_to_none=False)
        return Template(text, names, expression)
    return Template(text, names, _ENVIRONMENT.from_string(text).render)


def _is_lone(tree: nodes.Template) -> bool:
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output):
        return False
    parts = [
        part for part in tree.body[0].nodes if not (isinstance(part, nodes.TemplateData) and not part.data.strip())
    ]
    return len(parts) == 1 and not isinstance(parts[0], nodes.TemplateData)


def check_template(text: str) -> str:
    """What is wrong with a template's syntax, or nothing."""
    try:
        template(text)
    except jinja2.TemplateSyntaxError as error:
        line = f" in its line {error.lineno}" if "\n" in text else ""
        return f"the template {text!r} is wrong{line}: {error.message}"
    except (RecursionError, ValueError, OverflowError, MemoryError) as error:
        return f"the template {text!r} is wrong: {type(error).__name__}"
    return ""


def undefined_names(text: str, known: frozenset[str]) -> list[str]:
    """The names that a template reads and nobody defines."""
    return sorted(template(text).names - known - GLOBAL_NAMES)


class Dice:
    """`uuid()` and `randint()`: the same seed and place give the same values.

    Without a name each call gives a new value, counted within one reply or one event; with a name it is the
    same value in the reply and all events of the play.
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
        """A version 4 UUID."""
        return str(UUID(bytes=self._bytes(name)[:16], version=4))

    def randint(self, low: int, high: int, name: str | None = None) -> int:
        """A whole number between the two, both included."""
        if high < low:
            raise ValueError(f"randint({low}, {high}): nothing lies between")
        return low + int.from_bytes(self._bytes(name), "big") % (high - low + 1)
