"""Damaged and edited journals: each line is distilled or reported as left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cometreel.recording.distiller import distill_events
from cometreel.recording.journal_events import JournalLineInvalid, WireEvent, event_of, header_of
from cometreel.recording.stable_pseudonyms import with_stable_pseudonyms
from cometreel.scenario import dump, loads, profile

SAMPLE = Path(__file__).parents[3] / "recordings" / "workbin-desktop.jsonl"
LINES: list[Any] = [json.loads(line) for line in SAMPLE.read_text("utf-8").splitlines()]
JUNK: list[Any] = [
    None, True, -1, 0, 1.5, 10**18, "", "x", "$a", "{{ x }}", "\n", "\0", "é" * 300, "//", "/connect", "/meta/connect",
    "/v2/me/work bins", [], [1], [[]], {}, {"$t": "x"}, {"$any": "string"}, ["/1/data"], {"/1/data": "id thing"},
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value inside a value."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, member in members:
        yield (*path, step)
        yield from places(member, (*path, step))


PLACES = [(number, path) for number, line in enumerate(LINES) if number for path in places(line)]


def edited(line: Any, path: tuple[Any, ...], junk: Any) -> Any:
    """Return the line with another value at a path, if the path exists."""
    made = json.loads(json.dumps(line))
    inside = made
    for step in path[:-1]:
        inside = inside[step] if isinstance(inside, dict | list) and step in dict(_items(inside)) else None
    if isinstance(inside, dict | list) and path[-1] in dict(_items(inside)):
        inside[path[-1]] = junk
    return made


def _items(value: Any) -> Any:
    return value.items() if isinstance(value, dict) else enumerate(value)


def read(lines: list[Any]) -> Iterator[WireEvent]:
    for number, line in enumerate(lines, start=1):
        try:
            yield event_of(line, number)
        except JournalLineInvalid:
            continue


@settings(max_examples=150, deadline=None)
@given(
    edits=st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(JUNK)), min_size=1, max_size=6),
    generalise=st.booleans(),
)
def test_any_edited_journal_distills_to_a_valid_scenario(
    edits: list[tuple[tuple[int, tuple[Any, ...]], Any]], generalise: bool
) -> None:
    lines = list(LINES)
    for (number, path), junk in edits:
        lines[number] = edited(lines[number], path, junk)
    events = with_stable_pseudonyms(read(lines[1:]))
    made = distill_events(header_of(LINES[0]), events, title="x", profile=profile("gws-v2"), generalise=generalise)
    loads(dump(made.file))
