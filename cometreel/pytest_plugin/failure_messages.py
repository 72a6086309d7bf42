"""What a failed test reads: the requests that nothing answered or that failed, and the exchanges nobody asked for.

Text from facts; nothing is asked of a replay here. What a client keeps secret is covered up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from cometreel.engine import Call, Calls
from cometreel.engine.near_misses import NearMiss
from cometreel.jsonvalue import encode
from cometreel.masking import masked, masked_text
from cometreel.scenario import Exchange

__all__ = ["failed_text", "unmatched_text", "unplayed_text"]

CALLS, LENGTH = 10, 1000  # how many calls, and how much of a body, are shown


def unmatched_text(calls: Calls, shown_from: Path) -> str:
    """Say what was asked that nothing answers, and what comes near; files are shown from a folder."""
    many = f"{len(calls)} requests" if len(calls) > 1 else "a request"
    lines = [f"The test made {many} that nothing in its scenario answers."]
    for call in calls[:CALLS]:
        lines += ["", *_call(call, shown_from)]
    if len(calls) > CALLS:
        lines += ["", f"and {len(calls) - CALLS} more"]
    lines += [
        "",
        "If this is what the test is about: reel.allow_unmatched()",
        "To record what is missing: pytest --reel-record=URL --reel-record-mode=new",
    ]
    return "\n".join(lines)


def failed_text(calls: Calls) -> str:
    """Say what was asked whose answer could not be made, and why."""
    many = f"{len(calls)} requests" if len(calls) > 1 else "a request"
    lines = [f"The test made {many} whose answer could not be made."]
    for call in calls[:CALLS]:
        lines += ["", *_asked(call), f"  {masked_text(call.failure)}"]
    if len(calls) > CALLS:
        lines += ["", f"and {len(calls) - CALLS} more"]
    lines += ["", "If this is what the test is about: reel.allow_failed()"]
    return "\n".join(lines)


def unplayed_text(exchanges: Sequence[Exchange], shown_from: Path) -> str:
    """Say which exchanges nobody asked for."""
    many = f"{len(exchanges)} exchanges of its scenario" if len(exchanges) > 1 else "an exchange of its scenario"
    lines = [f"--reel-strict: the test left {many} unplayed."]
    lines += [f"  {exchange.name!r} ({_place(exchange, shown_from)})" for exchange in exchanges]
    return "\n".join(lines)


def _asked(call: Call) -> Iterator[str]:
    who = f"  (as {call.user})" if call.user else ""
    yield f"{call.method} {masked_text(call.target)}{who}"
    if call.body:
        yield f"  {_body(call)}"


def _call(call: Call, shown_from: Path) -> Iterator[str]:
    yield from _asked(call)
    miss = call.miss
    if miss is None or not miss.nearest:
        yield "  nothing in the scenario is near"
        return
    if miss.malformed:
        yield "  its body isn't JSON, though its Content-Type says so"
    for number, near in enumerate(miss.nearest):
        yield from _near(near, shown_from, "nearest" if number == 0 else "then")


def _near(near: NearMiss, shown_from: Path, rank: str) -> Iterator[str]:
    yield f"  {rank}: {near.exchange.name!r} ({_place(near.exchange, shown_from)})"
    if near.why:
        yield f"    matches, but {near.why}"
        return
    if near.agreed:
        yield f"    agrees:  {', '.join(dict.fromkeys(map(_part, sorted(near.agreed, key=_order))))}"
    for number, one in enumerate(sorted(near.differences, key=lambda one: _order(one.where))):
        sentence = f"{_part(one.where)} is {one.found}, not {one.expected}"
        yield f"    {'differs:' if number == 0 else '        '} {sentence}"


def _order(where: str) -> tuple[int, str]:
    """Put what is told in the order in which a request is read; the body comes last."""
    kinds = ["", "method", "path", "channel", "query", "headers"]
    kind = where.lstrip("/").partition("/")[0]
    return (kinds.index(kind) if kind in kinds else len(kinds), where)


def _part(where: str) -> str:
    return where.lstrip("/").replace("/", ".") or "the kind of request"


def _place(exchange: Exchange, shown_from: Path) -> str:
    """Say where an exchange stands; relative to a folder above it, as pytest shows files."""
    position = exchange.position
    file = Path(position.file)
    shown = file.relative_to(shown_from) if file.is_relative_to(shown_from) else file
    return f"{shown}:{position.line}"


def _body(call: Call) -> str:
    data = call.data
    text = masked_text(call.body.decode(errors="replace")) if data is None else encode(masked(data)).decode()
    return text if len(text) <= LENGTH else f"{text[:LENGTH]}… ({len(text)} characters)"
