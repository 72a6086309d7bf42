"""Triggers: what an exchange answers, an HTTP request or a Bayeux publish, as one matcher of the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from cometreel.immutable import immutable
from cometreel.jsonvalue import JSON
from cometreel.masking import HIDDEN, is_secret_header
from cometreel.scenario.matchers import MISSING, Difference, Literal, MatchContext, Matcher, shown
from cometreel.scenario.normalized_request import NormalizedPath, NormalizedPublish, NormalizedRequest, Question

__all__ = ["RequestPattern", "Match", "Mismatch", "PublishPattern", "Trigger"]


@immutable
class Match:
    """The question matches; what it captured: for this exchange, for the session, and new `$id` bindings."""

    captures: Mapping[str, JSON]
    session_captures: Mapping[str, JSON]
    ids: Mapping[str, JSON]


@immutable
class Mismatch:
    """The question doesn't match: where it agreed (JSON Pointers), and every difference."""

    agreed: tuple[str, ...]
    differences: tuple[Difference, ...]


class PathMatcher(Protocol):
    """What a path is compared with."""

    def compare(self, found: NormalizedPath, trial: MatchContext) -> None:
        """Compare, and note in the trial what agreed, differed and was captured."""


@dataclass(frozen=True, slots=True, repr=False)
class ExactPath:
    """One path; whether it was asked as `/me` is left to the index, which prefers the same spelling."""

    path: NormalizedPath

    def __repr__(self) -> str:
        return str(self.path)

    def compare(self, found: NormalizedPath, trial: MatchContext) -> None:
        """Compare the decoded segments."""
        if found.segments == self.path.segments:
            trial.agreed.append("/path")
        else:
            trial.differences.append(Difference("/path", str(self.path), str(found)))


@dataclass(frozen=True, slots=True, repr=False)
class Segments:
    """A path of which some segments are markers."""

    segments: Sequence[Matcher]

    def __repr__(self) -> str:
        return "[" + ", ".join(map(repr, self.segments)) + "]"

    def compare(self, found: NormalizedPath, trial: MatchContext) -> None:
        """Compare segment by segment."""
        branch = trial.branch()
        if len(found.segments) == len(self.segments):
            for number, (segment, text) in enumerate(zip(self.segments, found.segments, strict=True)):
                segment.compare(text, f"/path/{number}", branch)
            if not branch.differences:
                trial.agreed.append("/path")
                trial.join(branch)
                return
        trial.differences.append(Difference("/path", repr(self), str(found)))


@dataclass(frozen=True, slots=True, repr=False)
class PathText:
    """A marker that the whole path is compared with, as it was asked, or without its `/me`."""

    matcher: Matcher

    def __repr__(self) -> str:
        return repr(self.matcher)

    def compare(self, found: NormalizedPath, trial: MatchContext) -> None:
        """Try the path as asked, then without `/me`."""
        for text in (str(found), str(NormalizedPath(found.segments))):
            branch = trial.branch()
            self.matcher.compare(text, "/path", branch)
            if not branch.differences:
                trial.agreed.append("/path")
                trial.join(branch)
                return
        trial.differences.append(Difference("/path", repr(self), str(found)))


class BodyMatcher(Protocol):
    """What a request's body is compared with."""

    def compare(self, found: NormalizedRequest, trial: MatchContext) -> None:
        """Compare, and note in the trial what agreed, differed and was captured."""


@dataclass(frozen=True, slots=True)
class JsonBody:
    """A JSON body."""

    matcher: Matcher

    def compare(self, found: NormalizedRequest, trial: MatchContext) -> None:
        """Compare the value."""
        if found.is_json:
            self.matcher.compare(found.compared, "/body", trial)
        else:
            trial.differences.append(Difference("/body", repr(self.matcher), _shown_body(found)))


@dataclass(frozen=True, slots=True)
class TextBody:
    """A body that is text."""

    matcher: Matcher

    def compare(self, found: NormalizedRequest, trial: MatchContext) -> None:
        """Compare the text."""
        branch = trial.branch()
        try:
            self.matcher.compare(found.content.decode(), "/body", branch)
        except UnicodeDecodeError:
            branch.differs("/body", self.matcher, MISSING)
        if branch.differences:
            trial.differences.append(Difference("/body", repr(self.matcher), _shown_body(found)))
            return
        trial.agreed.append("/body")
        trial.join(branch)


@dataclass(frozen=True, slots=True)
class BytesBody:
    """A body of these bytes; none at all where a request says nothing of its body."""

    content: bytes

    def compare(self, found: NormalizedRequest, trial: MatchContext) -> None:
        """Compare the bytes."""
        if found.content == self.content:
            trial.agreed.append("/body")
        else:
            expected = f"{len(self.content)} bytes" if self.content else "nothing"
            trial.differences.append(Difference("/body", expected, _shown_body(found)))


def _shown_body(found: NormalizedRequest) -> str:
    """A body for a person: of a text only its size, as nobody can say what stands in it."""
    if found.is_json:
        return shown(found.body, "/body")
    if not found.content:
        return "nothing"
    try:
        length = len(found.content.decode())
    except UnicodeDecodeError:
        return f"{len(found.content)} bytes"
    return f"a text of {length} character{'s' if length > 1 else ''}"


@dataclass(frozen=True, slots=True)
class RequestPattern:
    """An HTTP request: method, path, query, the headers that are listed, and body must all match."""

    method: str
    path: PathMatcher
    query: Matcher
    headers: tuple[tuple[str, Matcher], ...]
    body: BodyMatcher

    def compare(self, question: Question, trial: MatchContext) -> None:
        """Compare every part, so that a miss can name all that differs."""
        if isinstance(question, NormalizedPublish):
            trial.differences.append(Difference("", f"{self.method} {self.path!r}", f"publish {question.channel}"))
            return
        if question.method == self.method:
            trial.agreed.append("/method")
        else:
            trial.differences.append(Difference("/method", self.method, question.method))
        self.path.compare(question.path, trial)
        self.query.compare(question.query, "/query", trial)
        for name, matcher in self.headers:
            _compare_header(name, matcher, question, trial)
        self.body.compare(question, trial)


def _compare_header(name: str, matcher: Matcher, question: NormalizedRequest, trial: MatchContext) -> None:
    fields = question.headers.get_all(name)
    where = f"/headers/{name.lower()}"
    branch = trial.branch()
    matcher.compare(", ".join(fields) if fields else MISSING, where, branch)
    trial.join(branch)
    trial.agreed.extend(branch.agreed)
    secret = is_secret_header(name)
    for difference in branch.differences:
        trial.differences.append(Difference(where, HIDDEN, HIDDEN if fields else "nothing") if secret else difference)


@dataclass(frozen=True, slots=True)
class PublishPattern:
    """A Bayeux publish: channel and data must match, ext where it is listed."""

    channel: Matcher
    data: Matcher
    ext: Matcher | None

    def compare(self, question: Question, trial: MatchContext) -> None:
        """Compare every part."""
        if isinstance(question, NormalizedRequest):
            asked = f"{question.method} {question.path}"
            trial.differences.append(Difference("", f"publish {self.channel!r}", asked))
            return
        self.channel.compare(question.channel, "/channel", trial)
        self.data.compare(question.compared, "/data", trial)
        if self.ext is not None:
            self.ext.compare(question.ext, "/ext", trial)


Trigger: TypeAlias = RequestPattern | PublishPattern


def match(trigger: Trigger, question: Question, ids: Mapping[str, JSON]) -> Match | Mismatch:
    """Compare a question with a trigger."""
    trial = MatchContext(ids)
    trigger.compare(question, trial)
    if trial.differences:
        return Mismatch(tuple(trial.agreed), tuple(trial.differences))
    return Match(trial.captures, trial.session_captures, trial.ids)


NO_QUERY = Literal({})
