"""Any file either loads or raises `FileInvalid`; no other exception."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometreel.errors import FileInvalid, Problem
from cometreel.jsonvalue import JSON
from cometreel.scenario import load, loads

Strategy: TypeAlias = st.SearchStrategy[JSON]

SHIPPED = Path(__file__).parents[3] / "scenarios" / "request_agent_stats.yaml"
TEXT = SHIPPED.read_text()

KEYS = """
name as when after before request method path query headers body text base64 publish data ext reply status events
channel count gap batch disconnect repeat since until exchange meta error advice nth rate delay drop-event x-own user
$any $regex $one-of $capture $partial $id $csv $entries $t $$t $ extends fallback message reply map window
"""
keys = st.sampled_from(KEYS.split())
words = st.sampled_from(
    [
        "",
        "a",
        "/a",
        "GET",
        "5s",
        "string",
        "(",
        "(?P<a>.)",
        "{{ x",
        "{{ a }}",
        "{{ ref }}",
        "session.a",
        "connect",
        "gws-v2",
    ]
)
scalars: Strategy = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words
values: Strategy = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=30
)
blocks = st.sampled_from(["exchanges", "timeline", "faults"])
sections = st.sampled_from(["bayeux", "session", "settings", "roles", "correlation", "source", "title", "x-own"])


def load_problems(text: str | bytes) -> tuple[Problem, ...]:
    try:
        loads(text)
    except FileInvalid as error:
        return error.problems
    return ()


exchanges = st.fixed_dictionaries(
    {"name": words, "request": st.fixed_dictionaries({"method": words, "path": values}, optional={"body": values})},
    optional={"reply": st.dictionaries(keys, values, max_size=3), "events": st.lists(values, max_size=2), "as": values},
)


@given(st.dictionaries(blocks, st.lists(values, max_size=4)), st.dictionaries(sections, values))
def test_any_data(lists: dict[str, JSON], rest: dict[str, JSON]) -> None:
    load_problems(json.dumps({"cometreel": 1, **lists, **rest}))


@given(st.lists(exchanges, min_size=1, max_size=3))
def test_any_exchange(written: list[JSON]) -> None:
    load_problems(json.dumps({"cometreel": 1, "exchanges": written}))


@given(
    st.lists(
        st.tuples(
            st.integers(0, len(TEXT)),
            st.integers(0, 12),
            st.text(alphabet="\n\t :-{}[]#&*!|>'\"%@`$x1~?,é", max_size=4),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_edit_of_a_shipped_file(edits: list[tuple[int, int, str]]) -> None:
    text = TEXT
    for start, length, put in edits:
        text = text[:start] + put + text[start + length :]
    load_problems(text)


@given(st.binary())
def test_any_bytes(content: bytes) -> None:
    load_problems(content)


@given(st.integers(0, len(TEXT)))
def test_a_file_cut_anywhere(end: int) -> None:
    load_problems(TEXT[:end])


def test_a_folder_instead_of_a_file_and_a_file_instead_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").mkdir()
    for path in (tmp_path, tmp_path / "a.yaml" / "b.yaml", SHIPPED / "c.yaml"):
        with pytest.raises(FileInvalid) as caught:
            load([path])
        assert len(caught.value.problems) == 1
