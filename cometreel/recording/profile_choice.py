"""The correlation profile of a journal: a chosen one, or the first included one that explains a notification."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from cometreel.errors import FileInvalid, Problem
from cometreel.jsonvalue import JSON
from cometreel.recording.correlation import Correlation, JoinedBy, correlate
from cometreel.recording.journal_events import JournalHeader
from cometreel.recording.transcript import Transcript
from cometreel.scenario import DETECT, CorrelationBlock, Profile, ProfileChoice, profile, profile_names, profile_of

__all__ = ["correlate_by", "header_fields", "profile_in_header"]

_FALLBACK = "gws-v2"
"""The profile of a journal in which no profile explains a notification."""

_BY_RULE: tuple[JoinedBy, ...] = ("reference", "map", "fallback")


def header_fields(choice: ProfileChoice) -> tuple[str, JSON]:
    """Return the name of a choice for the header of a journal, and the profile itself if it isn't an included one."""
    if isinstance(choice, CorrelationBlock):
        return choice.name or "inline", choice.model_dump(mode="json", exclude_none=True)
    return (choice if isinstance(choice, str) else choice.name), None


def profile_in_header(header: JournalHeader | None, path: Path) -> ProfileChoice:
    """Return the choice that a journal was recorded with.

    :raises FileInvalid: if this version doesn't have it.
    """
    if header is None or header.profile == DETECT:
        return DETECT
    try:
        if header.correlation is not None:
            return CorrelationBlock.model_validate(header.correlation)
        return profile(header.profile)
    except ValidationError:
        found = "recorded with a profile that is invalid"
    except KeyError:
        found = f"recorded with the profile {header.profile!r}, which isn't shipped"
    raise FileInvalid([Problem(str(path), 1, 1, found, "a shipped profile", "choose one with --profile")])


def correlate_by(
    choice: ProfileChoice, transcript: Transcript
) -> tuple[Profile | CorrelationBlock, Profile, Correlation]:
    """Return the chosen profile as it is written and as it is used, and what it joins.

    For `detect`, the choice is the first included profile that explains a notification.
    """
    if isinstance(choice, Profile):
        return choice, choice, correlate(transcript, choice)
    if not isinstance(choice, str):
        compiled = profile_of(choice)
        return choice, compiled, correlate(transcript, compiled)
    fallback = profile(_FALLBACK)
    without_match: Correlation | None = None
    for name in profile_names():
        candidate = profile(name)
        correlation = correlate(transcript, candidate)
        if _explains(correlation):
            return candidate, candidate, correlation
        if name == _FALLBACK:  # the others are not kept, because they are large
            without_match = correlation
    return fallback, fallback, without_match or correlate(transcript, fallback)


def _explains(correlation: Correlation) -> bool:
    """Return True if a rule of the profile found the request of a notification; the other ways need no profile."""
    return any(correlation.counts[joined_by] for joined_by in _BY_RULE)
