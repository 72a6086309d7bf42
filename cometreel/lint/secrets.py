"""The rule `secret`: leftovers that look like secrets, by their shape (through detect-secrets) and by their name.

Names are those that the recorder hides. No sentence of this room shows a value. What merely looks random is left alone:
identifiers in these scenarios are random by nature.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.core.scan import scan_line
from detect_secrets.settings import transient_settings

from cometreel.jsonvalue import JSON
from cometreel.lint.issues import RULES, Fix, Issue, IssuePath
from cometreel.lint.subject import Subject, leaves
from cometreel.recording import load_policy
from cometreel.recording.policy import Policy, Treatment
from cometreel.recording.redaction import HIDDEN
from cometreel.scenario.sources import SourceFile

__all__ = ["secrets"]

_GUESSES = frozenset({"Base64HighEntropyString", "HexHighEntropyString", "IPPublicDetector", "KeywordDetector"})
"""What detect-secrets only guesses: randomness, public addresses, and names, which the policy knows better."""

_COOKIES = frozenset({"cookie", "set-cookie"})
_BLOCKS = (("session",), ("bayeux",), ("settings",))
_ANSWERS = frozenset({"reply", "events", "timeline"})
_OURS = "hide it, as a recording does"


def secrets(subject: Subject) -> Iterator[Issue]:
    """Every value and every key that looks like a secret."""
    policy = load_policy("default")
    settings = {"plugins_used": [{"name": name} for name in _detectors()]}
    with transient_settings(settings):
        kinds = lru_cache(maxsize=None)(_kinds)
        for source in subject.sources:
            for path, value in leaves(source.document.value):
                if isinstance(value, str) and (what := _named(path, value, policy) or kinds(value)):
                    yield _issue(source, path, what)
            for path in _keys(source.document.value):
                if what := kinds(str(path[-1])):
                    yield _issue(source, path, what, key=True)


def _detectors() -> list[str]:
    detectors: Mapping[str, type] = get_mapping_from_secret_type_to_class()
    return sorted({detector.__name__ for detector in detectors.values()} - _GUESSES)


def _kinds(text: str) -> str:
    """What detect-secrets sees in a text, empty for nothing."""
    found = {secret.type for line in text.splitlines() for secret in scan_line(line)}
    return " and ".join(sorted(found))


def _named(path: IssuePath, value: str, policy: Policy) -> str:
    """What the name of a value says of it; a placeholder and what a template makes are no secrets.

    Nor is what the format itself calls by such a name: `session: {cookie: …}` says the name of a cookie.
    """
    if value in ("", HIDDEN) or path[:1] in _BLOCKS or not path or any(str(step).startswith("$") for step in path):
        return ""
    name = str(next((step for step in reversed(path) if isinstance(step, str)), ""))
    if name.lower() in _COOKIES and "headers" in path:
        return "a cookie" if "=" in value else ""
    rule = policy.key_rule(name)
    return f"a value called {name!r}" if rule is not None and rule.treatment is Treatment.SECRET else ""


def _issue(source: SourceFile, path: IssuePath, what: str, *, key: bool = False) -> Issue:
    place = source.position(path, key=key)
    rule = RULES["secret"]
    fix = None if key or _ANSWERS.isdisjoint(map(str, path)) else Fix(path, HIDDEN)
    found = f"it looks like a secret: {what}"
    expected = f"the word {HIDDEN!r}" if "request" not in path else "{$any: string}"
    return Issue(place.file, place.line, place.column, rule, rule.level, found, expected, _OURS, fix)


def _keys(value: JSON, path: IssuePath = ()) -> Iterator[IssuePath]:
    if isinstance(value, dict):
        for key, member in value.items():
            yield (*path, key)
            yield from _keys(member, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _keys(item, (*path, number))
