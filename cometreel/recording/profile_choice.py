"""The correlation profile of a journal: a chosen one, or the first included one that explains a notification."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from cometreel.errors import FileInvalid, Problem
from cometreel.jsonvalue import JSON
from cometreel.recording.correlation import JoinedBy, correlate
from cometreel.recording.journal_events import JournalHeader
from cometreel.recording.transcript import Transcript
from cometreel.scenario import DETECT, CorrelationBlock, Profile, ProfileChoice, profile, profile_names

__all__ = ["header_fields", "profile_in_header", "profile_of_transcript"]

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


def profile_of_transcript(choice: ProfileChoice, transcript: Transcript) -> Profile | CorrelationBlock:
    """Return the chosen profile; for `detect` the first included one that explains a notification."""
    if not isinstance(choice, str):
        return choice
    candidates = map(profile, profile_names())
    return next((each for each in candidates if _explains(each, transcript)), profile(_FALLBACK))


def _explains(candidate: Profile, transcript: Transcript) -> bool:
    """Return True if a rule of the profile finds the request of a notification; the other ways need no profile."""
    counts = correlate(transcript, candidate).counts
    return any(counts[joined_by] for joined_by in _BY_RULE)
