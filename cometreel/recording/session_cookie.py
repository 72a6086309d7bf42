"""Finds the session cookie of a recorded application: the one that joins its calls with its CometD clients."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cometreel.recording.journal_events import WireEvent
from cometreel.scenario.checks import FIELD_NAME

__all__ = ["BROWSER_COOKIE", "DEFAULT_COOKIE", "cookies_of", "find_session_cookie"]

BROWSER_COOKIE = "BAYEUX_BROWSER"
DEFAULT_COOKIE = "JSESSIONID"
"""The session cookie of a scenario that names none."""
_SESSION_NAME = re.compile(r"sess|sid|auth|login", re.IGNORECASE)


def cookies_of(event: WireEvent) -> dict[str, str]:
    """Return the tokens of the cookies that a request carries or a reply sets, by name."""
    found = {name: token for name, token in event.identity.items() if name != "user"}
    return {**event.cookies, **found}


@dataclass(slots=True)
class _Usage:
    """The use of one cookie: the requests that carry each of its values, and the browser cookies seen beside it."""

    is_known: bool = False
    calls: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    bayeux: set[str] = field(default_factory=set)
    others: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @property
    def joined_calls(self) -> int:
        """The number of calls that carry a value which a CometD request carries too."""
        return sum(number for token, number in self.calls.items() if token in self.bayeux)

    @property
    def separates(self) -> bool:
        """True if no value belongs to two browsers or two users, as that of a load balancer would."""
        return all(len(seen) < 2 for seen in self.others.values())


def find_session_cookie(events: Iterable[WireEvent]) -> str | None:
    """Return the name of the session cookie; None if there is none.

    Names that the policy knows are tried first. Of the others, the cookie must join calls with CometD requests and tell
    browsers and users apart; without any CometD request, its name must be that of a session cookie.
    """
    usages = _usages(events)
    known = [name for name, usage in usages.items() if usage.is_known]
    for name in (DEFAULT_COOKIE, *sorted(known)):
        if name in usages and usages[name].joined_calls:
            return name
    joining = [name for name, usage in usages.items() if usage.joined_calls and usage.separates]
    if joining:
        return min(joining, key=lambda name: (-usages[name].joined_calls, len(usages[name].bayeux), name))
    if known:
        return DEFAULT_COOKIE if DEFAULT_COOKIE in known else min(known)
    named = [name for name, usage in usages.items() if usage.calls and usage.separates and _SESSION_NAME.search(name)]
    return min(named, key=lambda name: (-sum(usages[name].calls.values()), name), default=None)


def _usages(events: Iterable[WireEvent]) -> Mapping[str, _Usage]:
    events = list(events)
    is_bayeux = {event.flow for event in events if event.kind in ("open", "frame") or event.body.kind == "bayeux"}
    usages: dict[str, _Usage] = defaultdict(_Usage)
    for event in events:
        if event.kind not in ("request", "open", "reply"):
            continue
        browser, user = event.identity.get(BROWSER_COOKIE), event.identity.get("user")
        for name, token in cookies_of(event).items():
            if name == BROWSER_COOKIE:
                continue
            usage = usages[name]
            usage.is_known |= name in event.identity
            usage.others[f"browser {token}"] |= {browser} if browser else set()
            usage.others[f"user {token}"] |= {user} if user else set()
            if event.flow in is_bayeux:
                usage.bayeux.add(token)
            elif event.kind == "request":
                usage.calls[token] += 1
    # a scenario can't contain other names
    return {name: usage for name, usage in usages.items() if re.fullmatch(FIELD_NAME, name)}
