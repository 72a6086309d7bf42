"""The rule `secret`: values that look like secrets, by their format (with detect-secrets) or their name.

The names are those that recordings redact. Messages never contain the value. Values that only look random aren't
reported, because identifiers in scenarios are random.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.core.scan import scan_line
from detect_secrets.settings import transient_settings

from cometreel.jsonvalue import JSON
from cometreel.lint.issues import RULES, Fix, Issue, IssuePath
from cometreel.lint.lint_context import LintContext, in_data_file, leaves
from cometreel.recording import load_policy
from cometreel.recording.policy import Policy, Treatment
from cometreel.recording.redaction import HIDDEN
from cometreel.scenario.sources import SourceFile

__all__ = ["secrets"]

_UNUSED_DETECTORS = frozenset(
    {"Base64HighEntropyString", "HexHighEntropyString", "IPPublicDetector", "KeywordDetector"}
)
"""Detectors that aren't used: randomness, public addresses, and names, which the policy detects."""

_COOKIES = frozenset({"cookie", "set-cookie"})
_SKIPPED_BLOCKS = (("session",), ("bayeux",), ("settings",))
_FIXABLE = frozenset({"reply", "reply_headers", "events", "timeline"})


def secrets(context: LintContext) -> Iterator[Issue]:
    """Yield an issue for each value and key that looks like a secret."""
    policy = load_policy("default")
    settings = {"plugins_used": [{"name": name} for name in _detectors()]}
    with transient_settings(settings):
        kinds = lru_cache(maxsize=None)(_kinds)
        for source in context.sources:
            for path, value in leaves(source.document.value):
                if isinstance(value, str) and (kind := _named(path, value, policy) or kinds(value)):
                    yield _issue(source, path, kind)
            for path in _keys(source.document.value):
                if kind := kinds(str(path[-1])):
                    yield _issue(source, path, kind, key=True)


def _detectors() -> list[str]:
    detectors: Mapping[str, type] = get_mapping_from_secret_type_to_class()
    return sorted({detector.__name__ for detector in detectors.values()} - _UNUSED_DETECTORS)


def _kinds(text: str) -> str:
    """Return the kinds of secrets that detect-secrets finds in a text, or an empty text."""
    found = {secret.type for line in text.splitlines() for secret in scan_line(line)}
    return " and ".join(sorted(found))


def _named(path: IssuePath, value: str, policy: Policy) -> str:
    """Return a description if the name of a value is that of a secret, else an empty text.

    Placeholders and templates aren't secrets, nor are keys of the format such as `session: {cookie: …}`.
    """
    if (
        value in ("", HIDDEN)
        or path[:1] in _SKIPPED_BLOCKS
        or not path
        or any(str(step).startswith("$") for step in path)
    ):
        return ""
    name = str(next((step for step in reversed(path) if isinstance(step, str)), ""))
    if name.lower() in _COOKIES and not {"headers", "reply_headers"}.isdisjoint(path):
        return "a cookie" if "=" in value else ""
    rule = policy.key_rule(name)
    return f"its name is {name!r}" if rule is not None and rule.treatment is Treatment.SECRET else ""


def _issue(source: SourceFile, path: IssuePath, kind: str, *, key: bool = False) -> Issue:
    place = source.written_position(path, key=key)
    rule = RULES["secret"]
    fix = None if key or _FIXABLE.isdisjoint(map(str, path)) else Fix(path, HIDDEN)
    found = f"{'the key' if key else 'the value'} looks like a secret: {kind}{in_data_file(source, path, key=key)}"
    expected = repr(HIDDEN) if "request" not in path else "{$any: string}"
    hint = "--fix replaces it" if fix else ""
    return Issue(place.file, place.line, place.column, rule, rule.level, found, expected, hint, fix)


def _keys(value: JSON, path: IssuePath = ()) -> Iterator[IssuePath]:
    if isinstance(value, dict):
        for key, member in value.items():
            yield (*path, key)
            yield from _keys(member, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _keys(item, (*path, number))
