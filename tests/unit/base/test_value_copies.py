"""Values of the modules that can be compiled are copied and pickled, in both forms of the engine."""

from __future__ import annotations

import ast
import contextlib
import copy
import pickle
import sys
import types
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Union, get_args, get_origin

import pytest

from cometreel.bayeux.reply_channels import HttpReplyChannel
from cometreel.engine.play_state import References
from cometreel.engine.scheduling import TimerHandle
from cometreel.errors import CometreelError
from cometreel.load.outcomes import PendingRequest, PlannedRequest
from cometreel.locust_agents.agent import StatsSink
from cometreel.scenario.exchange import ExchangeIndex
from cometreel.scenario.matchers import AnyOfType, Matcher
from cometreel.scenario.normalized_request import NormalizedPath, normalize_path
from cometreel.scenario.regular_expression import RegularExpression
from cometreel.scenario.request_pattern import BodyMatcher, ExactPath, PathMatcher, TextBody
from cometreel.scenario.values import Fixed, Value
from cometreel.wire import Headers

ROOT = Path(__file__).parents[3]


def compiled_modules() -> list[ModuleType]:
    """Return the modules that `setup.py` compiles."""
    statements = ast.parse((ROOT / "setup.py").read_text()).body
    table = next(each.value for each in statements if isinstance(each, ast.Assign) and "COMPILED" in ast.dump(each))
    packages: dict[str, str] = ast.literal_eval(table)
    places = [(package, name) for package, names in packages.items() for name in names.split()]
    return [import_module(".".join(filter(None, ("cometreel", *place)))) for place in places]


def pending_request() -> PendingRequest:
    """Return a request that was answered."""
    request = PendingRequest(1, "agent-1", PlannedRequest("entry", None), 0.5, 1.0)
    request.ack_at, request.reference, request.answered, request.settled_at = 1.5, 77, True, 2.0
    return request


LIVE = (References, HttpReplyChannel, TimerHandle, ExchangeIndex, StatsSink)
EXAMPLES: dict[Any, object] = {
    Any: "x",
    BodyMatcher: TextBody(AnyOfType("string")),
    Hashable: "x",
    Headers: Headers([("Accept", "*/*")]),
    Matcher: AnyOfType("string"),
    Path: Path("x"),
    PathMatcher: ExactPath(NormalizedPath(("a",))),
    PendingRequest: pending_request(),
    RegularExpression: RegularExpression("x"),
    Value: Fixed({"a": 1}),
    bool: True,
    bytes: b"x",
    datetime: datetime(2026, 1, 2, tzinfo=UTC),
    float: 1.5,
    int: 1,
    str: "x",
    type(None): None,
}
MODULES = compiled_modules()
NAMES = {
    name: value
    for module_name in sorted(sys.modules)
    if module_name.startswith("cometreel.")
    for name, value in vars(sys.modules[module_name]).items()
}
"""All names in types. Some modules import them for the type checker only; class names are unique."""
ALIASES = {
    "Evaluate": Callable[..., object],
    "JSON": str,
    "JSONObject": dict[str, str],
    "RequestKey": tuple[str, str, str, bytes],
}
"""The types that are written as text."""


class HoldsLiveObject(Exception):
    """A dataclass has a field for an object that changes, such as the state of a session: it is not copied."""


def values() -> Iterator[object]:
    """Yield an example of each dataclass with equality, without live objects."""
    for module in MODULES:
        for each in vars(module).values():
            own = isinstance(each, type) and each.__module__ == module.__name__ and is_dataclass(each)
            if own and each.__eq__ is not object.__eq__:
                with contextlib.suppress(HoldsLiveObject):
                    yield example(each)


def example(hint: Any) -> Any:
    """Return a value of a type; of several alternatives, one of the first."""
    if isinstance(hint, str):
        return example(eval(hint, {**NAMES, **ALIASES}))
    origin = get_origin(hint)
    if hint in LIVE or origin in LIVE:
        raise HoldsLiveObject
    if hint in EXAMPLES:
        return EXAMPLES[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint))
    if is_dataclass(hint) and isinstance(hint, type):
        names = {**NAMES, **vars(sys.modules[hint.__module__]), **ALIASES}
        types_of_fields = types_as_written(hint)
        return hint(*[example(eval(types_of_fields[each.name], names)) for each in fields(hint) if each.init])
    return generic_example(origin, get_args(hint))


def types_as_written(value_type: type) -> dict[str, str]:
    """Return the types of the fields as written; compiled classes don't have them."""
    source = ROOT / f"{value_type.__module__.replace('.', '/')}.py"
    for each in ast.walk(ast.parse(source.read_text())):
        if isinstance(each, ast.ClassDef) and each.name == value_type.__name__:
            members = [member for member in each.body if isinstance(member, ast.AnnAssign)]
            return {ast.unparse(member.target): ast.unparse(member.annotation) for member in members}
    raise AssertionError(f"{source} doesn't define {value_type}")


def generic_example(origin: Any, arguments: tuple[Any, ...]) -> object:
    """Return a value of a type with arguments."""
    if origin in (Union, types.UnionType):
        return example(arguments[0])
    if origin is Literal:
        return arguments[0]
    if origin is Callable:
        return float
    if origin is tuple:
        return tuple(example(each) for each in arguments if each is not ...)
    if issubclass(origin, Mapping):
        return {example(arguments[0]): example(arguments[1])}
    assert issubclass(origin, Collection), f"no example of {origin}: add one to EXAMPLES"
    return origin([example(arguments[0])]) if origin in (list, frozenset) else (example(arguments[0]),)


def copies(value: object) -> list[Any]:
    """Return a shallow copy, a deep copy and a pickled copy."""
    return [copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))]


@pytest.mark.parametrize("value", [*values()], ids=lambda each: type(each).__name__)
def test_each_value_equals_its_copies(value: object):
    assert copy.copy(value) == value
    assert [repr(each) for each in copies(value)] == [repr(value)] * 3


def test_an_error_with_a_value_is_copied():
    error = CometreelError("no such path")
    vars(error)["path"] = normalize_path("/api/v2/me/workbins")
    assert [vars(each) for each in copies(error)] == [{"path": NormalizedPath(("api", "v2", "workbins"), me=True)}] * 3


def test_header_fields_are_copied():
    headers = Headers([("A", "1"), ("a", "2")])
    assert copies(headers) == [headers] * 3


def test_a_pending_request_is_copied_with_its_progress():
    names = ("ack_at", "agent", "answered", "intended", "number", "planned", "reference", "sent", "settled_at")
    expected = [1.5, "agent-1", True, 0.5, 1, PlannedRequest("entry", None), 77, 1.0, 2.0]
    assert [[getattr(each, name) for name in names] for each in copies(pending_request())] == [expected] * 3
