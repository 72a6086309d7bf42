"""Compiled values of replies and events, which render templates and identifiers."""

from __future__ import annotations

import marshal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, TypeAlias

from cometreel.jsonvalue import JSON, as_text
from cometreel.scenario.normalized_request import NormalizedPublish, NormalizedRequest, RequestOrPublish
from cometreel.value_copies import copy_by_constructor

from .compiled import Position, RenderContext
from .templates import SeededRandom, Template, TemplateFailed, template
from .value_markers import is_plain, marker_of, unescaped

__all__ = ["TEMPLATE_NAMES", "Locate", "Scope", "Value", "value_of"]

TEMPLATE_NAMES = frozenset(
    {"count", "ids", "now", "randint", "ref", "request", "seq", "session", "user", "uuid", "wallclock"}
)
"""The names that every template can use, besides the captures of its exchange."""


ValuePath: TypeAlias = tuple[str | int, ...]
Locate: TypeAlias = Callable[[ValuePath], Position]


class Scope:
    """The variables of templates while one reply or event is rendered."""

    def __init__(self, context: RenderContext, place: str, *, seq: int = 0, count: JSON = 1) -> None:
        self.context = context
        self._place = place
        self._seq = seq
        self._count = count
        self._variables: dict[str, object] | None = None  # mypyc compiles a `cached_property` to one that isn't cached

    @property
    def variables(self) -> dict[str, object]:
        """The variables by name. All templates of one reply or event share them, with the numbers of random values."""
        if self._variables is None:
            self._variables = self._new_variables()
        return self._variables

    def _new_variables(self) -> dict[str, object]:
        context = self.context
        random = SeededRandom(context.seed, f"{self._place}/{self._seq}")
        return {
            **context.captures,
            "request": {**_request(context.request), "base": context.base},
            "session": context.session,
            "user": {"name": context.user.name, "id": context.user.id},
            "ids": context.ids,
            "ref": context.ref,
            "now": context.now,
            "wallclock": context.wallclock,
            "uuid": random.uuid,
            "randint": random.randint,
            "seq": self._seq,
            "count": self._count,
        }


def _request(request: RequestOrPublish) -> Mapping[str, object]:
    if isinstance(request, NormalizedPublish):
        return {**request.message, "channel": request.channel, "data": request.data, "ext": request.ext}
    return {
        "method": request.method,
        "path": str(request.path),
        "segments": list(request.path.segments),
        "query": request.query,
        "headers": {name.lower(): value for name, value in request.headers},
        "body": request.body,
        "text": _text(request),
    }


def _text(request: NormalizedRequest) -> str:
    return request.content.decode(errors="replace")


class Value(Protocol):
    """One value to send."""

    def render(self, scope: Scope) -> JSON:
        """Return the JSON value.

        :raises TemplateFailed: if a template can't be evaluated.
        """
        ...


class Fixed:
    """A constant. Renderings may share the value: never modify it.

    An object or an array is kept as bytes, which need a fifth of the memory, and decoded each time.
    """

    __slots__ = ("_value",)

    def __init__(self, value: JSON) -> None:
        self._value: JSON | bytes = value
        if isinstance(value, dict | list):
            try:
                self._value = marshal.dumps(value)
            except ValueError:  # a value from a data file, or a number with another text
                self._value = value

    @property
    def value(self) -> JSON:
        """The constant."""
        if isinstance(self._value, bytes):
            value: JSON = marshal.loads(self._value)  # noqa: S302  # written by this process, above
            return value
        return self._value

    def __reduce__(self) -> tuple[object, ...]:
        return Fixed, (self.value,)

    def __repr__(self) -> str:
        return f"Fixed({self.value!r})"

    def __eq__(self, other: object) -> bool:
        return self.value == other.value if isinstance(other, Fixed) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.value,))

    def render(self, scope: Scope) -> JSON:
        """Return the constant."""
        return self.value


@dataclass(frozen=True, slots=True)
class Templated:
    """The value of a template."""

    template: Template
    position: Position

    def render(self, scope: Scope) -> JSON:
        """Evaluate the template."""
        return self.template.render(scope.variables, str(self.position))


@dataclass(frozen=True, slots=True)
class Identifier:
    """The value that the session bound to an `$id` name."""

    name: str
    position: Position

    def render(self, scope: Scope) -> JSON:
        """Return the bound value."""
        if self.name not in scope.context.ids:
            reason = "no request of this session has bound it yet"
            raise TemplateFailed(f"{{$id: {self.name}}}", reason, str(self.position))
        return scope.context.ids[self.name]


@dataclass(frozen=True, slots=True)
class Members:
    """An object; keys may be rendered too."""

    members: Sequence[tuple[Value, Value]]

    def render(self, scope: Scope) -> JSON:
        """Render each key and member."""
        return {as_text(key.render(scope)): member.render(scope) for key, member in self.members}


@dataclass(frozen=True, slots=True)
class Items:
    """An array, or its items joined with commas."""

    items: Sequence[Value]
    joined: bool = False

    def render(self, scope: Scope) -> JSON:
        """Render each item."""
        items = [item.render(scope) for item in self.items]
        return ",".join(map(as_text, items)) if self.joined else items


def value_of(written: JSON, locate: Locate, path: ValuePath = ()) -> Value:
    """Compile a checked value; `locate` returns the position of a part of it, for errors.

    A value without markers is not copied.
    """
    if isinstance(written, str | int | None):
        return _fixed_scalar(written)
    if is_plain(written):
        return Fixed(written)
    return _value_of(written, locate, path)


@lru_cache(maxsize=4096, typed=True)
def _fixed_scalar(written: str | int | None) -> Fixed:
    """Return a constant; frequent ones, such as a status or a channel, are shared."""
    return Fixed(written)


def _value_of(written: JSON, locate: Locate, path: ValuePath) -> Value:
    marker = marker_of(written)
    if marker is not None:
        return _marked(*marker, locate, path)
    if isinstance(written, dict):
        members = [(unescaped(key), _value_of(member, locate, (*path, key))) for key, member in written.items()]
        fixed = {key: member.value for key, member in members if isinstance(member, Fixed)}
        if len(fixed) == len(members):
            return Fixed(fixed)
        return Members(tuple((Fixed(key), member) for key, member in members))
    if isinstance(written, list):
        items = [_value_of(item, locate, (*path, number)) for number, item in enumerate(written)]
        if all(isinstance(item, Fixed) for item in items):
            return Fixed([item.value for item in items if isinstance(item, Fixed)])
        return Items(tuple(items))
    return Fixed(written)


def _marked(key: str, argument: JSON, locate: Locate, path: ValuePath) -> Value:
    path = (*path, key)
    if key == "$entries" and isinstance(argument, list):
        return Members(tuple(_entry(pair, locate, (*path, number)) for number, pair in enumerate(argument)))
    if key == "$csv" and isinstance(argument, list):
        items = (value_of(item, locate, (*path, number)) for number, item in enumerate(argument))
        return Items(tuple(items), joined=True)
    if key == "$id":
        return Identifier(str(argument), locate(path))
    return Templated(template(str(argument)), locate(path))


def _entry(pair: JSON, locate: Locate, path: ValuePath) -> tuple[Value, Value]:
    assert isinstance(pair, list)
    key, member = pair
    return value_of(key, locate, (*path, 0)), value_of(member, locate, (*path, 1))


copy_by_constructor(__name__)
