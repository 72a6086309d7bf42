"""Failure messages of tests and strict replays: unmatched requests, failed responses, unplayed exchanges.

Secrets of requests are masked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cometreel.engine import Call, Calls, GivenUpEvent
from cometreel.engine.near_misses import NearMiss
from cometreel.jsonvalue import encode
from cometreel.masking import masked, masked_text
from cometreel.scenario import Exchange

__all__ = ["failed_message", "undelivered_message", "unmatched_message", "unplayed_message"]

MAX_CALLS, MAX_LENGTH = 10, 1000  # calls in a message, characters of a body


def unmatched_message(calls: Calls, shown_from: Path, sender: str = "A client") -> str:
    """Return the unmatched requests with their near misses; paths are relative to a folder."""
    requests = f"{len(calls)} requests" if len(calls) > 1 else "a request"
    lines = [f"{sender} sent {requests} that the scenario does not answer."]
    for call in calls[:MAX_CALLS]:
        lines += ["", *_unmatched(call, shown_from)]
    if len(calls) > MAX_CALLS:
        lines += ["", f"and {len(calls) - MAX_CALLS} more"]
    return "\n".join(lines)


def failed_message(calls: Calls, sender: str = "A client") -> str:
    """Return the requests whose response could not be rendered, with the reasons."""
    requests = f"{len(calls)} requests" if len(calls) > 1 else "a request"
    lines = [f"{sender} sent {requests} whose response could not be rendered."]
    for call in calls[:MAX_CALLS]:
        lines += ["", *_request(call), f"  {masked_text(call.failure)}"]
    if len(calls) > MAX_CALLS:
        lines += ["", f"and {len(calls) - MAX_CALLS} more"]
    return "\n".join(lines)


def undelivered_message(given_up: Sequence[GivenUpEvent], waiting: Mapping[int, int]) -> str:
    """Return the notifications that no CometD client gets, and those that wait for one; empty if there are none."""
    lines = [f"  {event}" for event in given_up[:MAX_CALLS]]
    if len(given_up) > MAX_CALLS:
        lines.append(f"  and {len(given_up) - MAX_CALLS} more")
    for session, count in [*waiting.items()][:MAX_CALLS]:
        notifications = "1 notification waits" if count == 1 else f"{count} notifications wait"
        lines.append(f"  session {session} has no CometD client: {notifications} for one")
    return "\n".join(["No CometD client received these notifications.", *lines]) if lines else ""


def unplayed_message(exchanges: Sequence[Exchange], shown_from: Path) -> str:
    """Return the exchanges that were not played."""
    names = f"{len(exchanges)} exchanges of its scenario" if len(exchanges) > 1 else "an exchange of its scenario"
    lines = [f"--reel-strict: the test did not play {names}."]
    lines += [f"  {exchange.name!r} ({_place(exchange, shown_from)})" for exchange in exchanges]
    return "\n".join(lines)


def _request(call: Call) -> Iterator[str]:
    user = f"  (as {call.user})" if call.user else ""
    yield f"{call.method} {masked_text(call.target)}{user}"
    if call.body:
        yield f"  {_body(call)}"


def _unmatched(call: Call, shown_from: Path) -> Iterator[str]:
    yield from _request(call)
    miss = call.miss
    if miss is None or not miss.nearest:
        yield "  no similar exchange in the scenario"
        return
    if miss.malformed:
        yield "  its body is not JSON, but its Content-Type is"
    for number, near in enumerate(miss.nearest):
        yield from _near(near, shown_from, "nearest" if number == 0 else "next")


def _near(near: NearMiss, shown_from: Path, rank: str) -> Iterator[str]:
    yield f"  {rank}: {near.exchange.name!r} ({_place(near.exchange, shown_from)})"
    if near.why:
        yield f"    matches, but {near.why}"
        return
    if near.agreed:
        yield f"    matches: {', '.join(dict.fromkeys(map(_part, sorted(near.agreed, key=_order))))}"
    for number, one in enumerate(sorted(near.differences, key=lambda one: _order(one.where))):
        sentence = f"{_part(one.where)} is {one.found}, not {one.expected}"
        yield f"    {'differs:' if number == 0 else '        '} {sentence}"


def _order(where: str) -> tuple[int, str]:
    """Sort by the order of the parts in a request, with the body last."""
    kinds = ["", "method", "path", "channel", "query", "headers"]
    kind = where.lstrip("/").partition("/")[0]
    return (kinds.index(kind) if kind in kinds else len(kinds), where)


def _part(where: str) -> str:
    return where.lstrip("/").replace("/", ".") or "type of request"


def _place(exchange: Exchange, shown_from: Path) -> str:
    """Return file and line of an exchange; the path is relative to a folder above it, as in pytest's output."""
    position = exchange.position
    file = Path(position.file)
    shown = file.relative_to(shown_from) if file.is_relative_to(shown_from) else file
    return f"{shown}:{position.line}"


def _body(call: Call) -> str:
    data = call.data
    text = masked_text(call.body.decode(errors="replace")) if data is None else encode(masked(data)).decode()
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}… ({len(text)} characters)"
