"""Limits of one evaluation of a template: each operation costs the size of what it reads and creates.

Methods and filters that can create much from little (`'x'.ljust(10**9)`) are estimated before they are called. Names
and parameters of the estimates are those of the methods and filters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

from jinja2.exceptions import SecurityError
from jinja2.sandbox import SandboxedEscapeFormatter, SandboxedFormatter

__all__ = [
    "FILTER_COSTS",
    "METHOD_COSTS",
    "SHALLOW",
    "EscapeFormatter",
    "Formatter",
    "budget",
    "counted",
    "filter_cost",
    "method_cost",
    "percent_cost",
    "size_of",
    "spend",
]

_BUDGET = 20_000_000
STEP = 100
"""The cost of a call, a filter or an iteration, in characters."""

_VALUE = 20  # the cost of a value, besides its characters

_left: ContextVar[list[int] | None] = ContextVar("_left", default=None)

Cost: TypeAlias = Callable[..., int]
"""Returns the cost of a call from its arguments."""


@contextmanager
def budget() -> Iterator[None]:
    """Limit the operations inside the block."""
    token = _left.set([_BUDGET])
    try:
        yield
    finally:
        _left.reset(token)


def spend(cost: int) -> None:
    """Take the cost of an operation from the budget.

    :raises SecurityError: if the budget is used up.
    """
    left = _left.get()
    if cost > _BUDGET:
        raise SecurityError("the result is too large")
    if left is not None:
        left[0] -= cost
        if left[0] < 0:
            raise SecurityError("the template takes too many steps or creates too much text")


def size_of(value: object, *, deep: bool = True) -> int:
    """Return the size of a value: its characters, or its items, with what they contain if `deep`.

    :raises SecurityError: if it is larger than the budget; a value may contain another one many times.
    """
    left = _left.get()
    limit = _BUDGET if left is None else left[0]
    total, open_values = 0, [value]
    while open_values:
        one = open_values.pop()
        total += _VALUE
        if isinstance(one, (str, bytes)):
            total += len(one)
        elif isinstance(one, int):
            total += one.bit_length() // 8
        elif isinstance(one, (list, tuple, set, frozenset)):
            if deep:
                open_values.extend(one)
            else:
                total += len(one)
        elif isinstance(one, (dict, Mapping, range)):
            if deep and not isinstance(one, range):
                open_values.extend(one)
                open_values.extend(one.values())
            else:
                total += len(one)
        if total > limit:
            raise SecurityError("the template takes too many steps or creates too much text")
    return total


def counted(items: Iterable[object], cost: int = STEP) -> Iterator[object]:
    """Yield the items; each costs a step."""
    for item in items:
        spend(cost)
        yield item


# ---------------------------------------------------------------------- formats
_PERCENT = re.compile(r"%(?:\([^)]*\))?[-#0 +]*(\*|\d+)?(?:\.(\*|\d+))?")
_NUMBER = re.compile(r"\d+")


def _number(value: object) -> int:
    return abs(value) if isinstance(value, int) else len(value) if isinstance(value, str) else 0


def percent_cost(text: str, values: object) -> int:
    """Return the cost of `text % values`: the widths, and a value for each `%`."""
    given = values.values() if isinstance(values, Mapping) else values if isinstance(values, tuple) else [values]
    largest = max(map(size_of, given), default=0)
    widest = max(map(_number, given), default=0)
    total = len(text)
    for found in _PERCENT.finditer(text):
        total += largest + sum(widest if part == "*" else int(part or 0) for part in found.groups())
    return total


class Formatter(SandboxedFormatter):
    """The formatter of `str.format`."""

    def format_field(self, value: object, format_spec: str) -> str:
        """Format a value; the widths in its format cost too."""
        spend(size_of(value) + sum(map(int, _NUMBER.findall(format_spec))))
        return str(super().format_field(value, format_spec))


class EscapeFormatter(Formatter, SandboxedEscapeFormatter):
    """The formatter of `Markup.format`."""


# ---------------------------------------------------------------------- methods
def _width(_: object, width: object = 0, *__: object) -> int:
    return _number(width)


def _replaced(s: str | bytes, old: str | bytes, new: str | bytes, count: object = None) -> int:
    times = s.count(old) if len(old) else len(s) + 1  # type: ignore[arg-type]  # both are text or bytes, else `replace` fails
    return len(s) + times * len(new)


def _joined(separator: str | bytes, items: Sequence[object]) -> int:
    return sum(map(size_of, items)) + len(items) * len(separator)


def _translated(text: str, table: object) -> int:
    values = table.values() if isinstance(table, Mapping) else table if isinstance(table, str | list | tuple) else ()
    return len(text) * (1 + max(map(size_of, values), default=1))


METHOD_COSTS: Mapping[str, Cost] = {
    "center": _width,
    "ljust": _width,
    "rjust": _width,
    "zfill": _width,
    "expandtabs": lambda text, tabsize=8: len(text) * (1 + _number(tabsize)),
    "replace": _replaced,
    "join": _joined,
    "translate": _translated,
    "to_bytes": lambda _, length=1, byteorder="big", signed=False: _number(length),
    "strftime": lambda _, format: 300 * len(format),  # noqa: A006  # the name of the parameter
    "index": lambda items, *_: size_of(items),
    "count": lambda items, *_: size_of(items),
}
"""The methods of text, bytes, numbers, times and lists that cost more than the size of the value and the result."""


def method_cost(function: object, arguments: tuple[object, ...], keywords: Mapping[str, object]) -> int:
    """Return the cost of calling a function, without its result."""
    owner, name = getattr(function, "__self__", None), getattr(function, "__name__", "")
    cost = STEP + sum(size_of(one, deep=False) for one in (owner, *arguments, *keywords.values()))
    estimate = METHOD_COSTS.get(name) if not isinstance(owner, Mapping | None) else None
    return cost if estimate is None else cost + _estimated(estimate, (owner, *arguments), keywords)


def _estimated(estimate: Cost, arguments: tuple[object, ...], keywords: Mapping[str, object]) -> int:
    try:
        return estimate(*arguments, **keywords)
    except (TypeError, AttributeError):  # wrong arguments: the call itself fails
        return 0


# ---------------------------------------------------------------------- filters
def _indented(s: object, width: object = 4, *_: object, **__: object) -> int:
    return (1 + str(s).count("\n")) * _number(width) + size_of(s)


def _wrapped(s: object, width: object = 79, *arguments: object, wrapstring: object = "\n", **_: object) -> int:
    strings = [one for one in (wrapstring, *arguments) if isinstance(one, str)]
    return size_of(s) * (2 + max(map(len, strings), default=0))


def _linked(value: object, *arguments: object, **keywords: object) -> int:
    texts = [one for one in (*arguments, *keywords.values()) if isinstance(one, str | list | tuple)]
    return size_of(value) * (2 + sum(map(size_of, texts)) // 4)


def _as_json(value: object, indent: object = None) -> int:
    return size_of(value) * (1 + 100 * _number(indent))


def _summed(value: object, attribute: object = None, start: object = 0) -> int:
    items = len(value) if isinstance(value, list) else 0
    return size_of(value) * (items + 1) if isinstance(start, list | tuple) else 0


FILTER_COSTS: Mapping[str, Cost] = {
    "center": lambda value, width=80: _number(width),
    "indent": _indented,
    "batch": lambda value, linecount, fill_with=None: _number(linecount),
    "slice": lambda value, slices, fill_with=None: STEP * _number(slices),
    "round": lambda value, precision=0, method="common": STEP * _number(precision),
    "tojson": _as_json,
    "join": lambda value, d="", attribute=None: _joined(str(d), value),
    "sum": _summed,
    "replace": lambda s, old, new, count=None: _replaced(str(s), str(old), str(new)),
    "wordwrap": _wrapped,
    "urlize": _linked,
    "format": lambda value, *args, **kwargs: percent_cost(str(value), kwargs or args),
    "truncate": lambda s, length=255, killwords=False, end="...", leeway=None: size_of(end),
}
"""The filters that cost more than the sizes of their arguments and their result."""

SHALLOW = frozenset(
    {
        "attr",
        "batch",
        "count",
        "d",
        "default",
        "first",
        "items",
        "last",
        "length",
        "list",
        "map",
        "reject",
        "rejectattr",
        "reverse",
        "select",
        "selectattr",
        "slice",
        "boolean",
        "callable",
        "defined",
        "divisibleby",
        "even",
        "false",
        "filter",
        "float",
        "integer",
        "iterable",
        "mapping",
        "none",
        "number",
        "odd",
        "sameas",
        "sequence",
        "string",
        "test",
        "true",
        "undefined",
    }
)
"""The filters and tests that don't read what their arguments contain."""


def filter_cost(name: str, arguments: tuple[object, ...], keywords: Mapping[str, object]) -> int:
    """Return the cost of a filter or a test, without its result."""
    deep = name not in SHALLOW
    cost = STEP + sum(size_of(one, deep=deep) for one in (*arguments, *keywords.values()))
    estimate = FILTER_COSTS.get(name)
    return cost if estimate is None else cost + _estimated(estimate, arguments, keywords)
