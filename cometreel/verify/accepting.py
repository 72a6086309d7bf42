"""Accepting drift: the scenario as it would be, had it been recorded today. Only what differs is changed.

Each finding is put into the exchange as the file writes it, so markers, names and pseudonyms elsewhere stay. Makes
models; writing them beside the old file is `recording.write_scenario`'s part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario import ExchangeBlock, Profile, ScenarioFile, find, literal
from cometreel.scenario.json_pointer import replace
from cometreel.scenario.matchers import MISSING
from cometreel.scenario.sources import SourceFile
from cometreel.verify.value_comparison import ChangeKind
from cometreel.verify.verdict import Drift, Verdict

__all__ = ["accepted"]

_ADDING = (ChangeKind.ADDED.value, ChangeKind.ITEM_ADDED.value)
_REMOVING = (ChangeKind.REMOVED.value, ChangeKind.ITEM_REMOVED.value, "header removed", "notification missing")


def accepted(verdict: Verdict, sources: Sequence[SourceFile], profile: Profile) -> Iterator[tuple[str, ScenarioFile]]:
    """Each file that changes, by its path, as it would be now."""
    for source in sources:
        changed = {
            number: _exchange(block, _of(verdict, source, block.name), profile)
            for number, block in source.exchanges
            if _of(verdict, source, block.name)
        }
        if changed:
            blocks = [changed.get(number, block) for number, block in source.exchanges]
            yield source.document.file, source.file().model_copy(update={"exchanges": blocks})


def _of(verdict: Verdict, source: SourceFile, name: str) -> list[Drift]:
    steps = [step for step in verdict.steps if step.name == name and step.position.file == source.document.file]
    return list(steps[0].findings) if steps else []


def _exchange(block: ExchangeBlock, findings: Sequence[Drift], profile: Profile) -> ExchangeBlock:
    written: JSONObject = block.model_dump(by_alias=True, exclude_unset=True)
    for finding in sorted(findings, key=_turn):
        _put(written, finding)
    events = written.get("events")
    if isinstance(events, list):
        _set_order(events, findings)
        _set_number(events, findings)
    written = _with_extras(written, findings, profile)
    return ExchangeBlock.model_validate(written, context={"file": True})


def _turn(finding: Drift) -> tuple[int, int]:
    """First what stays, then what is taken out of lists, the end first; what is put in has its new place already."""
    last = finding.path[-1]
    number = last if isinstance(last, int) else 0
    if finding.what in _REMOVING:
        return 1, -number
    return (2 if finding.what in _ADDING else 0), number


def _put(written: JSONObject, finding: Drift) -> None:
    """Change one value in place; what a marker stands for, and what isn't a value, stays."""
    if len(finding.path) < 2 or (finding.what.startswith("notification ") and finding.what != "notification moved"):
        return
    holder = _holder(written, finding.path[:-1])
    name = finding.path[-1]
    if isinstance(holder, dict) and isinstance(name, str):
        _put_member(holder, name, finding)
    elif isinstance(holder, list) and isinstance(name, int):
        _put_item(holder, name, finding)


def _put_member(holder: JSONObject, name: str, finding: Drift) -> None:
    key = name if name in holder or not name.startswith("$") else f"${name}"
    if finding.what in _REMOVING:
        holder.pop(key, None)
    elif finding.renamed:
        (renamed,) = _literal_keys(finding.renamed)
        members = [(renamed if each == key else each, member) for each, member in holder.items()]
        holder.clear()
        holder.update(members)
    elif finding.what == "body is no JSON":
        holder.pop("body", None)
        holder["text"] = _live(finding, "")
    elif finding.what != "content changed":
        holder[key] = _live(finding, holder.get(key))


def _literal_keys(name: str) -> JSONObject:
    """A member's name as a scenario writes it."""
    written = literal({name: None})
    assert isinstance(written, dict)
    return written


def _put_item(holder: list[JSON], number: int, finding: Drift) -> None:
    if finding.what in _REMOVING:
        del holder[number : number + 1]
    elif finding.what in _ADDING:
        holder.insert(number, _live(finding, None))
    elif number < len(holder):
        holder[number] = _live(finding, holder[number])


def _live(finding: Drift, old: JSON) -> JSON:
    return old if finding.live is MISSING else literal(finding.live)


def _holder(written: JSON, path: Sequence[str | int]) -> JSON:
    """What holds the last step of a path, None if the file writes it in another way."""
    for step in path:
        if isinstance(written, dict):
            written = written.get(str(step), written.get(f"${step}"))
        elif isinstance(written, list) and isinstance(step, int) and step < len(written):
            written = written[step]
        else:
            return None
    return written


# --- notifications ------------------------------------------------------------------------------------------
def _set_order(events: list[JSON], findings: Sequence[Drift]) -> None:
    """Put events into the order in which they came; the moments stay where they are."""
    for finding in findings:
        order, places = finding.live, finding.recorded
        if finding.path != ("events",) or not isinstance(order, list) or not isinstance(places, list):
            continue
        moved = [events[int(str(number))] for number in order]
        moments = [_after(events[int(str(number))]) for number in places]
        for place, event, moment in zip(places, moved, moments, strict=True):
            events[int(str(place))] = {**event, "after": moment} if isinstance(event, dict) and moment else event


def _set_number(events: list[JSON], findings: Sequence[Drift]) -> None:
    counted = [each for each in findings if each.what in ("notification missing", "notification doubled")]
    for finding in sorted(counted, key=lambda each: each.path, reverse=True):
        number = int(str(finding.path[1]))
        if finding.what == "notification missing":
            del events[number : number + 1]
        else:
            events.insert(number + 1, events[number])


def _with_extras(written: JSONObject, findings: Sequence[Drift], profile: Profile) -> JSONObject:
    """Add what came and wasn't recorded, with the reference of the recorded reply."""
    extras = [each.live for each in findings if each.what == "notification extra" and isinstance(each.live, dict)]
    if not extras:
        return written
    reply, events = written.get("reply"), written.get("events") or []
    assert isinstance(events, list)
    body = reply.get("body") if isinstance(reply, dict) else None
    references = [value for pointer in profile.reply for _, value in find(body, pointer)]
    last = next((moment for moment in map(_after, [*reversed(events), reply]) if moment), "0s")
    for extra in extras:
        data = literal(extra["data"])
        for pointer in profile.event if references else ():
            data = replace(data, pointer, lambda _: references[0])
        events = [*events, {"after": last, "channel": extra["channel"], "data": data}]
    return {**written, "events": events}


def _after(block: JSON) -> JSON:
    return block.get("after") if isinstance(block, dict) else None
