"""Updates a scenario with the live values of a run (`verify --accept`). Only the values that differ are changed.

Differences are applied to the exchange as written in the file, so markers, names and pseudonyms elsewhere are kept. The
result is a proposal: the text of the file with these changes, and each difference as a comment above its exchange.
`recording.write_scenario` writes it.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from yaml import YAMLError

from cometreel.errors import FileInvalid
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario import ExchangeBlock, Profile, ScenarioBlock, dump, find, literal
from cometreel.scenario.files import as_written
from cometreel.scenario.json_pointer import replace
from cometreel.scenario.matchers import MISSING
from cometreel.scenario.sources import SourceFile, read_source
from cometreel.scenario.yaml_editing import ItemChange, edit_items
from cometreel.verify.value_comparison import ChangeKind
from cometreel.verify.verdict import MOVED, Drift, StepVerdict, Verdict

__all__ = ["COMMENT", "proposals", "updated_files"]

COMMENT = "verify: "
"""The start of the comments of a proposal."""

_ADDED = (ChangeKind.ADDED.value, ChangeKind.ITEM_ADDED.value)
_REMOVED = (ChangeKind.REMOVED.value, ChangeKind.ITEM_REMOVED.value, "header removed", "notification missing")


def proposals(verdict: Verdict, sources: Sequence[SourceFile], profile: Profile) -> Iterator[tuple[str, str]]:
    """Yield the path and the proposed text of each file with differences.

    The text keeps the comments and the formatting of everything that is not changed. If that is impossible, for example
    because an anchor is used in several places, the whole file is formatted anew, without its own comments.
    """
    updated, steps = dict(updated_files(verdict, sources, profile)), _steps_by_name(verdict)
    for source in sources:
        path = source.document.file
        comments = {
            number: lines
            for number, block in source.exchanges
            if (lines := _comments([each for each in steps.get(block.name, ()) if each.position.file == path]))
        }
        if comments:
            file = updated.get(path, source.file())
            yield path, _edited(source, file, comments) or _formatted(source, file, comments)


def _steps_by_name(verdict: Verdict) -> Mapping[str, Sequence[StepVerdict]]:
    """Return the steps of each exchange that has any, in their order."""
    steps: dict[str, list[StepVerdict]] = defaultdict(list)
    for step in verdict.steps:
        steps[step.name].append(step)
    return steps


def _comments(steps: Sequence[StepVerdict]) -> list[str]:
    """Return one line for each difference of the steps of an exchange; with the session if several sent it."""
    lines = [
        f"{COMMENT}{f'{step.session}: ' if len(steps) > 1 else ''}{drift}" for step in steps for drift in step.drifts
    ]
    return [_printable(line) for line in lines]


def _printable(line: str) -> str:
    """Return a line without line breaks and control characters: a comment can't contain them."""
    return "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in line)


def _edited(source: SourceFile, file: ScenarioBlock, comments: Mapping[int, Sequence[str]]) -> str | None:
    """Return the text of the file with the changes; None if the result is not the proposed scenario."""
    path = Path(source.document.file)
    try:
        text = _without_old_comments(path.read_bytes().decode("utf-8-sig"))
        new = edit_items(text, "exchanges", _changes(source, file, comments))
        result = read_source(new, str(path), path.parent)
    except (OSError, ValueError, YAMLError, FileInvalid):
        return None
    return new if not result.problems and as_written(result.file()) == as_written(file) else None


def _formatted(source: SourceFile, file: ScenarioBlock, comments: Mapping[int, Sequence[str]]) -> str:
    changes = _changes(source, file, comments)
    unchanged = {number: ItemChange(change.new, change.new, change.comments) for number, change in changes.items()}
    return edit_items(dump(file), "exchanges", unchanged)


def _changes(source: SourceFile, file: ScenarioBlock, comments: Mapping[int, Sequence[str]]) -> dict[int, ItemChange]:
    new = file.exchanges or []
    return {
        number: ItemChange(as_written(block), as_written(new[place]), comments[number])
        for place, (number, block) in enumerate(source.exchanges)
        if number in comments
    }


def _without_old_comments(text: str) -> str:
    """Remove the comments of an earlier proposal."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.lstrip(" ").startswith(f"# {COMMENT}"))


def updated_files(
    verdict: Verdict, sources: Sequence[SourceFile], profile: Profile
) -> Iterator[tuple[str, ScenarioBlock]]:
    """Yield the path and the updated content of each file that changes."""
    steps = _steps_by_name(verdict)
    for source in sources:
        changed = {
            number: _updated(block, first.drifts, profile)
            for number, block in source.exchanges
            for first in steps.get(block.name, ())[:1]
            if first.drifts
        }
        if changed:
            blocks = [changed.get(number, block) for number, block in source.exchanges]
            yield source.document.file, source.file().model_copy(update={"exchanges": blocks})


def _updated(block: ExchangeBlock, drifts: Sequence[Drift], profile: Profile) -> ExchangeBlock:
    written: JSONObject = copy.deepcopy(as_written(block))
    for drift in sorted(drifts, key=_application_order):
        _apply(written, drift)
    events = written.get("events")
    if isinstance(events, list):
        _reorder(events, drifts)
    written = _add_or_remove(written, drifts, profile)
    return ExchangeBlock.model_validate(written, context={"file": True})


def _application_order(drift: Drift) -> tuple[int, int]:
    """Sort changes before removals from arrays, which go from the end, before additions, which go from the start."""
    last = drift.path[-1]
    number = last if isinstance(last, int) else 0
    if drift.kind in _REMOVED:
        return 1, -number
    return (2 if drift.kind in _ADDED else 0), number


def _apply(written: JSONObject, drift: Drift) -> None:
    """Change one value in place; keep values inside markers."""
    if len(drift.path) < 2 or (drift.kind.startswith("notification ") and drift.kind != MOVED):
        return
    if drift.path[:2] == ("reply", "headers"):
        _add_own_header(written, str(drift.path[2]))
    parent = _value_at(written, drift.path[:-1])
    name = drift.path[-1]
    if isinstance(parent, dict) and isinstance(name, str):
        _apply_to_member(parent, name, drift)
    elif isinstance(parent, list) and isinstance(name, int):
        _apply_to_item(parent, name, drift)


def _add_own_header(written: JSONObject, name: str) -> None:
    """Add a header field of `reply_headers` to the reply: null leaves it out there, a value replaces it."""
    reply = written.get("reply") or {}
    assert isinstance(reply, dict)
    headers = reply.get("headers") or {}
    assert isinstance(headers, dict)
    if name not in headers:
        written["reply"] = {**reply, "headers": {**headers, name: None}}


def _apply_to_member(parent: JSONObject, name: str, drift: Drift) -> None:
    key = name if name in parent or not name.startswith("$") else f"${name}"
    if drift.kind == "header removed" and parent.get(key, "") is None:
        return
    if drift.kind in _REMOVED:
        parent.pop(key, None)
    elif drift.renamed:
        (renamed,) = _literal_keys(drift.renamed)
        members = [(renamed if each == key else each, member) for each, member in parent.items()]
        parent.clear()
        parent.update(members)
    elif drift.kind == "body is not JSON":
        parent.pop("body", None)
        parent["text"] = _live(drift, "")
    elif drift.kind != "content changed":
        parent[key] = _live(drift, parent.get(key))


def _literal_keys(name: str) -> JSONObject:
    """Return the key of a member as written in a scenario, with `$` escaped."""
    written = literal({name: None})
    assert isinstance(written, dict)
    return written


def _apply_to_item(parent: list[JSON], number: int, drift: Drift) -> None:
    if drift.kind in _REMOVED:
        del parent[number : number + 1]
    elif drift.kind in _ADDED:
        parent.insert(number, _live(drift, None))
    elif number < len(parent):
        parent[number] = _live(drift, parent[number])


def _live(drift: Drift, old: JSON) -> JSON:
    return old if drift.live is MISSING else literal(drift.live)


def _value_at(written: JSON, path: Sequence[str | int]) -> JSON:
    """Return the value at a path, None if the file writes it in another way."""
    for step in path:
        if isinstance(written, dict):
            written = written.get(str(step), written.get(f"${step}"))
        elif isinstance(written, list) and isinstance(step, int) and step < len(written):
            written = written[step]
        else:
            return None
    return written


# --- notifications ------------------------------------------------------------------------------------------
def _reorder(events: list[JSON], drifts: Sequence[Drift]) -> None:
    """Put events into the live order; the delays keep their places."""
    for drift in drifts:
        live_order, places = drift.live, drift.recorded
        if drift.path != ("events",) or not isinstance(live_order, list) or not isinstance(places, list):
            continue
        moved = [events[int(str(number))] for number in live_order]
        delays = [_after(events[int(str(number))]) for number in places]
        for place, event, delay in zip(places, moved, delays, strict=True):
            events[int(str(place))] = {**event, "after": delay} if isinstance(event, dict) and delay else event


def _add_or_remove(written: JSONObject, drifts: Sequence[Drift], profile: Profile) -> JSONObject:
    """Remove missing events, repeat duplicate ones and insert additional ones where they arrived."""
    counted = [each for each in drifts if each.kind in ("notification missing", "notification doubled")]
    additional = [each for each in drifts if each.kind == "notification extra" and isinstance(each.live, dict)]
    if not counted and not additional:
        return written
    events = written.get("events") or []
    assert isinstance(events, list)
    moved = any(each.path == ("events",) for each in drifts)  # then the indices are those of other events
    end = len(events)
    new = [(end if moved or each.before is None else each.before, 1, each) for each in additional]
    known = [(int(str(each.path[1])), 0, each) for each in counted]
    for number, _, drift in sorted([*known, *new[::-1]], key=lambda each: (-each[0], each[1])):
        if drift.kind == "notification missing":
            del events[number : number + 1]
        elif drift.kind == "notification doubled":
            events.insert(number + 1, events[number])
        else:
            events.insert(number, _additional_event(written, events, number, drift, profile))
    return {**written, "events": events}


def _additional_event(
    written: JSONObject, events: Sequence[JSON], number: int, drift: Drift, profile: Profile
) -> JSONObject:
    """Return an event with the delay of its neighbour and the reference of the recorded reply."""
    reply, live = written.get("reply"), drift.live
    assert isinstance(live, dict)
    body = reply.get("body") if isinstance(reply, dict) else None
    references = [value for pointer in profile.reply for _, value in find(body, pointer)]
    near = [*events[number : number + 1], *reversed(events[:number]), reply]
    data = literal(live["data"])
    for pointer in profile.event if references else ():
        data = replace(data, pointer, lambda _: references[0])
    delay = next((delay for delay in map(_after, near) if delay), "0s")
    receiver: JSONObject = {"deliver": live["deliver"]} if "deliver" in live else {}
    return {"after": delay, "channel": live["channel"], "data": data, **receiver}


def _after(block: JSON) -> JSON:
    return block.get("after") if isinstance(block, dict) else None
