"""Dumping, loading and dumping any scenario gives the same text."""

from __future__ import annotations

from typing import TypeAlias

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from cometreel.jsonvalue import JSON, encode
from cometreel.scenario import (
    EventBlock,
    ExchangeBlock,
    FaultBlock,
    Match,
    ReplyBlock,
    RequestBlock,
    RoleBlock,
    ScenarioBlock,
    TimelineBlock,
    can_be_written,
    dump,
    literal,
    loads,
    normalize_request,
)
from cometreel.scenario.sources import read_source
from cometreel.wire import Request

Strategy: TypeAlias = st.SearchStrategy[JSON]

NASTY = ["No", "on", "0123", "12:30:45", "1e3", ".inf", "~", "a\nb\n", " a", "\x00", "\u2028", "ü", "$any", "$$", "<<"]
text: st.SearchStrategy[str] = st.sampled_from([*NASTY, "word " * 60]) | st.text(
    st.characters(exclude_categories=["Cs"])
)
leaves: Strategy = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
json_values: Strategy = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(text, inner), max_leaves=8)
literals: Strategy = json_values.map(literal)
patterns: Strategy = literals | st.sampled_from(
    [{"$any": "string"}, {"$regex": "^Place\\d+: x$"}, {"$one-of": ["a", {"$any": "null"}]}, {"$partial": {"a": 1}}]
)
templates: Strategy = literals | st.sampled_from([{"$t": "{{ request.body }}"}, [{"a": {"$t": "x {{ ref }}\n"}}]])
durations = st.integers(0, 10_000).map(lambda number: f"{number}ms")
requests = st.builds(RequestBlock, method=st.sampled_from(["GET", "POST"]), path=st.just("/api/v2/x"), body=patterns)
replies = st.builds(ReplyBlock, after=durations, status=st.integers(200, 599), body=templates)
events = st.builds(EventBlock, after=durations, channel=st.just("/v2/me/x"), data=templates)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: name.strip() and "\n" not in name
)


@st.composite
def files(draw: st.DrawFn) -> ScenarioBlock:
    unique = st.lists(names, unique=True, max_size=3)
    reserved = {"connect", "handshake", "subscribe", "unsubscribe", "disconnect"}
    exchanges = [
        ExchangeBlock(name=name, request=draw(requests), reply=draw(replies), events=draw(st.lists(events, max_size=2)))
        for name in draw(unique)
        if name not in reserved
    ]
    entry = TimelineBlock(since="connect", until="disconnect", after="5s", channel="/v2/me/x", data=draw(literals))
    fault = FaultBlock(meta="/meta/connect", error=draw(text), nth=2)
    roles = {name: RoleBlock(user=draw(text)) for name in draw(unique)}
    title = draw(text)
    return ScenarioBlock(title=title, roles=roles, exchanges=exchanges, timeline=[entry], faults=[fault])


@given(files())
def test_dump_load_dump_is_the_same_text(file: ScenarioBlock) -> None:
    once = dump(file)
    source = read_source(once, "f")
    assert source.problems == []
    assert dump(source.file()) == once
    assert [event for event in yaml.parse(once, Loader=yaml.CSafeLoader) if getattr(event, "anchor", None)] == []
    loads(once)
    assert yaml.safe_load(once) == source.document.value


@given(json_values)
@example({"$any": "string"})
@example({"a": [{"$$t": {"$t": "{{ x"}}]})
def test_a_literal_body_is_read_back_unchanged(value: JSON) -> None:
    """`literal` doubles the `$` of keys that would be markers, at every depth."""
    request = RequestBlock(method="POST", path="/x", body=literal(value))
    scenario = loads(dump(ScenarioBlock(exchanges=[ExchangeBlock(name="a", request=request)])))
    normalized = normalize_request(Request(1, "POST", "/x", body=encode(value)))
    assert scenario.exchanges[0].match(normalized, {}) == Match({}, {}, {})


def deep(levels: int) -> JSON:
    value: JSON = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("value", ["\ud83d", {"\ud83d": 1}, float("nan"), [float("inf")], deep(91)], ids=repr)
def test_a_value_that_yaml_cannot_hold_is_rejected_by_the_model(value: JSON) -> None:
    assert not can_be_written(value)
    with pytest.raises(ValidationError, match="a value that YAML can't hold"):
        ReplyBlock(body=value)


def test_the_deepest_allowed_value_is_read_back() -> None:
    assert can_be_written(deep(90))
    loads(
        dump(
            ScenarioBlock(
                exchanges=[ExchangeBlock(name="a", request=RequestBlock(method="POST", path="/", body=deep(90)))]
            )
        )
    )


def test_null_is_written_only_if_it_is_a_value() -> None:
    """A null body is different from no body."""
    request = RequestBlock(method="POST", path="/x", headers=None, body=None)
    file = ScenarioBlock(exchanges=[ExchangeBlock(name="a", as_=None, request=request)])
    assert dump(file).split("\n")[3:] == [
        "exchanges:",
        "  - name: a",
        "    request:",
        "      method: POST",
        "      path: /x",
        "      body: null",
        "",
    ]


def test_custom_keys_are_kept_and_written_last() -> None:
    written = "cometreel: 1\nx-b: {z: 1, a: 2}\nexchanges:\n- x-a: 1\n  name: own\n  request: {path: /x, method: GET}\n"
    dumped = dump(read_source(written, "f").file())
    assert dumped.split("\n")[3:-1] == [
        "exchanges:",
        "  - name: own",
        "    request:",
        "      method: GET",
        "      path: /x",
        "    x-a: 1",
        "x-b:",
        "  z: 1",
        "  a: 2",
    ]
