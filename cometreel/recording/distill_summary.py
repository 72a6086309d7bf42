"""The summary of a distillation: what was replaced, what was left out and why, what answers what. Never a value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from cometreel.recording.journal_events import WireEvent
from cometreel.scenario.json_pointer import parse_pointer

__all__ = ["DistillSummary", "replaced_in"]


@dataclass(frozen=True, slots=True)
class DistillSummary:
    """Counts and reasons. `replaced` is by class and key, `correlated` by the way in which the request was found."""

    exchanges: int
    timeline: int
    sessions: int
    correlated: dict[str, int]
    replaced: dict[tuple[str, str], int]
    left_out: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Give the summary as text, line by line."""
        size = (
            _count(self.exchanges, "exchange"),
            _count(self.timeline, "timeline entry"),
            _count(self.sessions, "session"),
        )
        lines = [", ".join(size)]
        ways = [f"{number} by {way}" for way, number in self.correlated.items() if number]
        lines.append("notifications: " + ", ".join([*ways, f"{self.timeline} that nobody asked for"]))
        for kind in ("secret", "personal", "identifier"):
            found = {key: number for (what, key), number in self.replaced.items() if what == kind}
            if found:
                shown = ", ".join(f"{key} {number}" for key, number in sorted(found.items()))
                lines.append(f"replaced {kind} values: {sum(found.values())} ({shown})")
        lines += [f"left out: {reason}" for reason in self.left_out]
        return lines


def _count(number: int, name: str) -> str:
    if number == 1:
        return f"1 {name}"
    return f"{number} {name.removesuffix('y')}ies" if name.endswith("ry") else f"{number} {name}s"


def replaced_in(events: Iterable[WireEvent]) -> dict[tuple[str, str], int]:
    """Count what was replaced in a journal, by class and key."""
    found: Counter[tuple[str, str]] = Counter()
    for event in events:
        found.update(("secret", f"header {name}") for name in event.hidden_headers)
        found.update((_class(what), f"query {name}") for name, what in event.hidden_query.items())
        found.update((_class(what), "path") for what in event.hidden_path.values())
        hidden = event.body.hidden
        found.update(("secret", _key(pointer)) for pointer in hidden.secret)
        found.update(("personal", _key(pointer)) for pointer in hidden.personal)
        found.update(("identifier", _key(pointer)) for pointer in hidden.identifiers)
    return dict(found)


def _class(what: str) -> str:
    return "identifier" if what.startswith("id ") else what


def _key(pointer: str) -> str:
    names = [token for token in parse_pointer(pointer) if not token.isdigit()]
    return names[-1] if names else "body"
