"""The rule `unheard`: a notification on a channel without subscribers.

Scenarios don't contain subscriptions, so the rule reads them from the journal of the recording next to the scenario.
Without a journal, it only reports a channel that looks like a misspelling of another one.
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
from cometreel.lint.issues import Issue, IssuePath
from cometreel.lint.lint_context import LintContext, RawBlock
from cometreel.recording import read_journal

__all__ = ["unheard"]

_SIMILARITY = 0.9
_FREQUENT = 3


def unheard(context: LintContext) -> Iterator[Issue]:
    """Yield an issue for each notification on a channel that has, or seems to have, no subscriber."""
    notified = [found for block in context.blocks for found in _channels(block)]
    counts = Counter(channel for _, _, channel in notified)
    subscriptions = {str(path): _subscriptions(path) for path in context.files}
    for block, path, channel in notified:
        subscribed = subscriptions[block.source.document.file]
        if is_wild(channel):
            yield block.issue("unheard", path, f"{channel!r} is a pattern", "a channel")
        elif subscribed is not None and not is_service(channel):
            if not any(matches(pattern, channel) for pattern in subscribed):
                yield _no_subscriber(block, path, channel, subscribed)
        elif (near := _misspelt(channel, counts)) is not None:
            hint = f"did you mean {near!r}?"
            found = f"{channel!r} is used once, {near!r} {counts[near]} times"
            yield block.issue("unheard", path, found, "a channel with a subscriber", hint, level="note")


def _no_subscriber(block: RawBlock, path: IssuePath, channel: str, subscribed: frozenset[str]) -> Issue:
    found = f"no client subscribes to {channel!r}"
    expected = f"a channel that matches {' or '.join(sorted(subscribed))}" if subscribed else "a subscription"
    return block.issue("unheard", path, found, expected, "according to the journal next to the scenario")


def _channels(block: RawBlock) -> Iterator[tuple[RawBlock, IssuePath, str]]:
    """Yield the literal channels of a block with their paths."""
    if block.key == "timeline":
        yield from _channel(block, (), block.raw)
    events = block.raw.get("events") if block.key == "exchanges" else None
    for number, event in enumerate(events if isinstance(events, list) else ()):
        yield from _channel(block, ("events", number), event)


def _channel(block: RawBlock, path: IssuePath, event: JSON) -> Iterator[tuple[RawBlock, IssuePath, str]]:
    channel = event.get("channel") if isinstance(event, dict) else None
    if isinstance(channel, str):
        yield block, (*path, "channel"), channel


def _misspelt(channel: str, counts: Counter[str]) -> str | None:
    """Return a frequent channel that is similar to this one, if this one is used once."""
    frequent = [other for other, number in counts.items() if number >= _FREQUENT]
    if counts[channel] > 1:
        return None
    return next(iter(difflib.get_close_matches(channel, frequent, n=1, cutoff=_SIMILARITY)), None)


def _subscriptions(scenario: Path) -> frozenset[str] | None:
    """Return the subscriptions in the journal next to a scenario, None without a journal."""
    journal = scenario.with_suffix(".jsonl")
    if not journal.is_file():
        return None
    try:
        _, events, _ = read_journal(journal)
    except FileInvalid:  # not a journal
        return None
    subscriptions = [
        message.get("subscription")
        for event in events
        for message in event.body.messages
        if message.get("channel") == "/meta/subscribe"
    ]
    names = [item for value in subscriptions for item in (value if isinstance(value, list) else [value])]
    return frozenset(name for name in names if isinstance(name, str))
