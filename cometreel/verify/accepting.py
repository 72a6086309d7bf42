"""Updates a scenario with the live values of a run (`verify --accept`). Only the values that differ are changed.

Differences are applied to the exchange as written in the file, so markers, names and pseudonyms elsewhere are kept. The
result is a model; `recording.write_scenario` writes it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario import ExchangeBlock, Profile, ScenarioBlock, find, literal
from cometreel.scenario.files import as_written
from cometreel.scenario.json_pointer import replace
from cometreel.scenario.matchers import MISSING
from cometreel.scenario.sources import SourceFile
from cometreel.verify.value_comparison import ChangeKind
from cometreel.verify.verdict import Drift, Verdict

__all__ = ["updated_files"]

_ADDED = (ChangeKind.ADDED.value, ChangeKind.ITEM_ADDED.value)
_REMOVED = (ChangeKind.REMOVED.value, ChangeKind.ITEM_REMOVED.value, "header removed", "notification missing")


def updated_files(
    verdict: Verdict, sources: Sequence[SourceFile], profile: Profile
) -> Iterator[tuple[str, ScenarioBlock]]:
    """Yield the path and the updated content of each file that changes."""
    for source in sources:
        changed = {
            number: _updated(block, drifts, profile)
            for number, block in source.exchanges
            if (drifts := _drifts_of(verdict, block.name))
        }
        if changed:
            blocks = [changed.get(number, block) for number, block in source.exchanges]
            yield source.document.file, source.file().model_copy(update={"exchanges": blocks})


def _drifts_of(verdict: Verdict, name: str) -> list[Drift]:
    steps = [step for step in verdict.steps if step.name == name]
    return list(steps[0].drifts) if steps else []


def _updated(block: ExchangeBlock, drifts: Sequence[Drift], profile: Profile) -> ExchangeBlock:
    written: JSONObject = copy.deepcopy(as_written(block))
    for drift in sorted(drifts, key=_application_order):
        _apply(written, drift)
    events = written.get("events")
    if isinstance(events, list):
        _reorder(events, drifts)
        _add_or_remove(events, drifts)
    written = _with_additional_events(written, drifts, profile)
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
    if len(drift.path) < 2 or (drift.kind.startswith("notification ") and drift.kind != "notification moved"):
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


def _add_or_remove(events: list[JSON], drifts: Sequence[Drift]) -> None:
    counted = [each for each in drifts if each.kind in ("notification missing", "notification doubled")]
    for drift in sorted(counted, key=lambda each: each.path, reverse=True):
        number = int(str(drift.path[1]))
        if drift.kind == "notification missing":
            del events[number : number + 1]
        else:
            events.insert(number + 1, events[number])


def _with_additional_events(written: JSONObject, drifts: Sequence[Drift], profile: Profile) -> JSONObject:
    """Append the additional notifications, with the reference of the recorded reply."""
    extras = [each.live for each in drifts if each.kind == "notification extra" and isinstance(each.live, dict)]
    if not extras:
        return written
    reply, events = written.get("reply"), written.get("events") or []
    assert isinstance(events, list)
    body = reply.get("body") if isinstance(reply, dict) else None
    references = [value for pointer in profile.reply for _, value in find(body, pointer)]
    last = next((delay for delay in map(_after, [*reversed(events), reply]) if delay), "0s")
    for extra in extras:
        data = literal(extra["data"])
        for pointer in profile.event if references else ():
            data = replace(data, pointer, lambda _: references[0])
        events = [*events, {"after": last, "channel": extra["channel"], "data": data}]
    return {**written, "events": events}


def _after(block: JSON) -> JSON:
    return block.get("after") if isinstance(block, dict) else None
