"""The rule `unheard`: a notification on a channel to which nobody subscribes.

A scenario doesn't say who subscribes to what: its clients do. It is known where the journal of the recording lies
beside the scenario; without one, a channel is doubted only if it looks like a misspelt one of its neighbours.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from cometreel.bayeux import is_service
from cometreel.bayeux.channels import is_wild, matches
from cometreel.errors import FileInvalid
from cometreel.jsonvalue import JSON
from cometreel.lint.issues import Issue
from cometreel.lint.issues import IssuePath as Steps
from cometreel.lint.lint_context import LintContext, RawBlock
from cometreel.recording import read_journal

__all__ = ["unheard"]

_ALIKE = 0.9
_USUAL = 3


def unheard(subject: LintContext) -> Iterator[Issue]:
    """Every notification that nobody hears, as far as that can be known."""
    told = [one for block in subject.blocks for one in _channels(block)]
    counts = Counter(channel for _, _, channel in told)
    heard = {str(path): _subscriptions(path) for path in subject.files}
    for block, path, channel in told:
        known = heard[block.source.document.file]
        if is_wild(channel):
            yield block.issue("unheard", path, f"{channel!r} is a pattern, not a channel", "the channel itself")
        elif known is not None and not is_service(channel):
            if not any(matches(pattern, channel) for pattern in known):
                yield _nobody(block, path, channel, known)
        elif (near := _misspelt(channel, counts)) is not None:
            hint = f"did you mean {near!r}?"
            found = f"{channel!r} is used once, {near!r} {counts[near]} times"
            yield block.issue("unheard", path, found, "a channel to which a client subscribes", hint, level="note")


def _nobody(block: RawBlock, path: Steps, channel: str, known: frozenset[str]) -> Issue:
    found = f"nobody subscribes to {channel!r}"
    expected = f"a channel under {', '.join(sorted(known))}" if known else "a client that subscribes"
    return block.issue("unheard", path, found, expected, "so says the journal beside the scenario")


def _channels(block: RawBlock) -> Iterator[tuple[RawBlock, Steps, str]]:
    """The channels that are literal, with their places."""
    if block.key == "timeline":
        yield from _channel(block, (), block.raw)
    events = block.raw.get("events") if block.key == "exchanges" else None
    for number, event in enumerate(events if isinstance(events, list) else ()):
        yield from _channel(block, ("events", number), event)


def _channel(block: RawBlock, path: Steps, event: JSON) -> Iterator[tuple[RawBlock, Steps, str]]:
    channel = event.get("channel") if isinstance(event, dict) else None
    if isinstance(channel, str):
        yield block, (*path, "channel"), channel


def _misspelt(channel: str, counts: Counter[str]) -> str | None:
    """A channel that is used often, of which this one, used once, differs by a letter or two."""
    usual = [other for other, number in counts.items() if number >= _USUAL]
    if counts[channel] > 1:
        return None
    return next(iter(difflib.get_close_matches(channel, usual, n=1, cutoff=_ALIKE)), None)


def _subscriptions(scenario: Path) -> frozenset[str] | None:
    """What clients subscribed to in the journal beside a scenario, None where there is no journal."""
    journal = scenario.with_suffix(".jsonl")
    if not journal.is_file():
        return None
    try:
        _, events, _ = read_journal(journal)
    except FileInvalid:  # another program's file of that name
        return None
    asked = [
        message.get("subscription")
        for event in events
        for message in event.body.messages
        if message.get("channel") == "/meta/subscribe"
    ]
    names = [item for value in asked for item in (value if isinstance(value, list) else [value])]
    return frozenset(name for name in names if isinstance(name, str))
