"""Notes: what was heard that nobody asked for, and what the timeline says of it. They inform and are never drift.

On a live server others work too: that something happened by itself once, or that it doesn't today, is no promise that
a server could break.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cometreel.jsonvalue import JSON
from cometreel.scenario.values import Fixed
from cometreel.verify.comparator import Comparator
from cometreel.verify.observations import ReceivedNotification
from cometreel.verify.script import ExpectedTimelineEvent
from cometreel.verify.value_comparison import leaves
from cometreel.verify.verdict import shown

__all__ = ["notes"]


def notes(
    cues: Sequence[ExpectedTimelineEvent], unsolicited: Sequence[ReceivedNotification], judge: Comparator
) -> Iterator[str]:
    """A sentence for each timeline entry, and for each notification that is in no timeline."""
    left = list(unsolicited)
    for cue in cues:
        place = f"{cue.entry.position.file}:{cue.entry.position.line}: timeline"
        twin = next((each for each in left if _differs(cue, each, judge) == 0), None)
        like = twin or next((each for each in left if _is_like(cue, each, judge)), None)
        if like is None:
            yield f"{place}: did not come while the run listened"
            continue
        left.remove(like)
        yield f"{place}: came" if like is twin else f"{place}: came, with other values: {_shown(like, judge)}"
    for each in left:
        yield f"nobody asked for this: {_shown(each, judge)}"


def _shown(heard: ReceivedNotification, judge: Comparator) -> str:
    told: JSON = {"channel": heard.channel, "data": judge.veil.shown(heard.data)}
    return shown(told)


def _differs(cue: ExpectedTimelineEvent, heard: ReceivedNotification, judge: Comparator) -> int | None:
    """The number of differences; None where they can't be the same, or templates make that unknowable."""
    event = cue.entry.event
    if heard.part != cue.part or not isinstance(event.channel, Fixed) or event.channel.value != heard.channel:
        return None
    return len(judge.compared(event.data.value, heard.data, ())) if isinstance(event.data, Fixed) else None


def _is_like(cue: ExpectedTimelineEvent, heard: ReceivedNotification, judge: Comparator) -> bool:
    differences = _differs(cue, heard, judge)
    return differences is not None and 2 * differences <= leaves(heard.data)
