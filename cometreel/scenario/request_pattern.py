"""Patterns of whole requests: HTTP requests and Bayeux publishes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from cometreel.jsonvalue import JSON
from cometreel.masking import HIDDEN, is_secret_header, masked_text
from cometreel.scenario.matchers import (
    MISSING,
    Difference,
    Literal,
    MatchContext,
    Matcher,
    Missing,
    OneOf,
    shortened,
    shown,
)
from cometreel.scenario.normalized_request import (
    NormalizedPath,
    NormalizedPublish,
    NormalizedRequest,
    RequestOrPublish,
)
from cometreel.scenario.yaml_writer import inline
from cometreel.value_copies import copy_by_constructor

__all__ = ["Match", "MediaType", "Mismatch", "PublishPattern", "RequestPattern", "Trigger"]


@dataclass(slots=True, unsafe_hash=True)
class Match:
    """A match with its captures for the exchange, its captures for the session, and new `$id` bindings."""

    captures: Mapping[str, JSON]
    session_captures: Mapping[str, JSON]
    ids: Mapping[str, JSON]


@dataclass(slots=True, unsafe_hash=True)
class Mismatch:
    """A mismatch: the JSON Pointers that agreed, and all differences."""

    agreed: tuple[str, ...]
    differences: tuple[Difference, ...]


class PathMatcher(Protocol):
    """Compares a path."""

    def compare(self, found: NormalizedPath, context: MatchContext) -> None:
        """Compare, and add agreements, differences and captures to the context."""


@dataclass(frozen=True, slots=True, repr=False)
class ExactPath:
    """One path, with or without `/me`; the index prefers the same spelling."""

    path: NormalizedPath

    def __repr__(self) -> str:
        return str(self.path)

    def compare(self, found: NormalizedPath, context: MatchContext) -> None:
        """Compare the decoded segments."""
        if found.segments == self.path.segments:
            context.agreed.append("/path")
        else:
            context.differences.append(
                Difference("/path", shortened(str(self.path)), shortened(masked_text(str(found))))
            )


@dataclass(frozen=True, slots=True, repr=False)
class Segments:
    """A path with markers as segments."""

    segments: Sequence[Matcher]

    def __repr__(self) -> str:
        return "[" + ", ".join(map(repr, self.segments)) + "]"

    def compare(self, found: NormalizedPath, context: MatchContext) -> None:
        """Compare segment by segment."""
        branch = context.branch()
        if len(found.segments) == len(self.segments):
            for number, (segment, text) in enumerate(zip(self.segments, found.segments, strict=True)):
                segment.compare(text, f"/path/{number}", branch)
            if not branch.differences:
                context.agreed.append("/path")
                context.join(branch)
                return
        context.differences.append(Difference("/path", shortened(repr(self)), shortened(masked_text(str(found)))))


@dataclass(frozen=True, slots=True, repr=False)
class PathText:
    """A marker for the whole path, compared as sent and without `/me`."""

    matcher: Matcher

    def __repr__(self) -> str:
        return repr(self.matcher)

    def compare(self, found: NormalizedPath, context: MatchContext) -> None:
        """Compare the path as sent, then without `/me`."""
        for text in (str(found), str(NormalizedPath(found.segments))):
            branch = context.branch()
            self.matcher.compare(text, "/path", branch)
            if not branch.differences:
                context.agreed.append("/path")
                context.join(branch)
                return
        context.differences.append(Difference("/path", shortened(repr(self)), shortened(masked_text(str(found)))))


class BodyMatcher(Protocol):
    """Compares the body of a request."""

    def compare(self, found: NormalizedRequest, context: MatchContext) -> None:
        """Compare, and add agreements, differences and captures to the context."""


@dataclass(frozen=True, slots=True)
class JsonBody:
    """A JSON body. The empty object also matches no body: clients of operations without arguments send either."""

    matcher: Matcher

    def compare(self, found: NormalizedRequest, context: MatchContext) -> None:
        """Compare the value."""
        if found.is_json:
            self.matcher.compare(found.compared, "/body", context)
        elif not found.content and _is_empty_object(self.matcher):
            context.agreed.append("/body")
        else:
            context.differences.append(Difference("/body", shortened(repr(self.matcher)), _shown_body(found)))


def _is_empty_object(matcher: Matcher) -> bool:
    """True for `{}`, also as one choice of several."""
    if isinstance(matcher, OneOf):
        return any(map(_is_empty_object, matcher.choices))
    return isinstance(matcher, Literal) and matcher.value == {}


@dataclass(frozen=True, slots=True)
class FormBody:
    """The fields of a form, in any order; the values of a repeated field in the order in which they were sent."""

    matcher: Matcher

    def compare(self, found: NormalizedRequest, context: MatchContext) -> None:
        """Compare the fields, whatever the Content-Type."""
        if found.is_json and not isinstance(found.body, int | float):  # `1` is a form too
            context.differences.append(Difference("/form", shortened(repr(self.matcher)), _shown_body(found)))
        else:
            self.matcher.compare(found.form(), "/form", context)


@dataclass(frozen=True, slots=True)
class TextBody:
    """A text body."""

    matcher: Matcher

    def compare(self, found: NormalizedRequest, context: MatchContext) -> None:
        """Compare the text."""
        branch = context.branch()
        try:
            self.matcher.compare(found.content.decode(), "/body", branch)
        except UnicodeDecodeError:
            branch.differs("/body", self.matcher, MISSING)
        if branch.differences:
            context.differences.append(Difference("/body", shortened(repr(self.matcher)), _shown_body(found)))
            return
        context.agreed.append("/body")
        context.join(branch)


@dataclass(frozen=True, slots=True)
class BytesBody:
    """A body of exactly these bytes; empty if the pattern has no body. `is_text`: the bytes were written as text."""

    content: bytes
    is_text: bool = False

    def compare(self, found: NormalizedRequest, context: MatchContext) -> None:
        """Compare the bytes, also in the charset in which they were sent."""
        if found.content == self.content or _as_sent(found) == self.content:
            context.agreed.append("/body")
        else:
            context.differences.append(Difference("/body", *self._difference(found)))

    def _difference(self, found: NormalizedRequest) -> tuple[str, str]:
        """Describe the expected and the found body. A text is described by its size, because it may contain secrets."""
        shown_body = _shown_body(found)
        if not self.content:
            return "nothing", shown_body
        if not self.is_text:
            return f"{len(self.content)} bytes", shown_body
        expected = self.content.decode()
        if found.content and not found.is_json:
            text = found.content.decode(errors="replace")
            pairs = enumerate(zip(expected, text, strict=False), 1)
            place = next((number for number, (one, other) in pairs if one != other), min(len(expected), len(text)) + 1)
            shown_body += f" that differs from character {place} on"
        return shortened(inline(expected)), shown_body


def _as_sent(found: NormalizedRequest) -> bytes | None:
    """Return a body that was decoded from its charset in this charset; None if it was sent in UTF-8."""
    charset = found.headers.charset()
    try:
        return found.content.decode().encode(charset) if charset else None
    except UnicodeError:
        return None


def _shown_body(found: NormalizedRequest) -> str:
    """Describe a body for near misses: JSON with secrets masked; text and bytes only by size."""
    if found.is_json:
        return shown(found.body, "/body")
    if not found.content:
        return "nothing"
    try:
        length = len(found.content.decode())
    except UnicodeDecodeError:
        return f"{len(found.content)} bytes"
    return f"a text of {length} character{'s' if length > 1 else ''}"


@dataclass(frozen=True, slots=True, repr=False)
class MediaType:
    """A media type (RFC 9110 §8.3.1): any case; parameters are compared only if the pattern has some."""

    value: str

    def __repr__(self) -> str:
        return inline(self.value)

    def compare(self, found: JSON | Missing, where: str, context: MatchContext) -> None:
        """Compare the type, and the parameters in any order."""
        expected = _media_type(self.value)
        sent = _media_type(found) if isinstance(found, str) else None
        if sent is not None and sent[0] == expected[0] and (not expected[1] or sent[1] == expected[1]):
            context.agreed.append(where)
        else:
            context.differs(where, self, found)


def _media_type(text: str) -> tuple[str, frozenset[tuple[str, str]]]:
    media_type, *parameters = text.lower().split(";")
    pairs = (parameter.partition("=") for parameter in parameters)
    return media_type.strip(), frozenset(
        (name.strip(), value.strip().strip('"')) for name, _, value in pairs if name.strip()
    )


@dataclass(slots=True, unsafe_hash=True)
class RequestPattern:
    """An HTTP request: method, path, query, the listed headers and the body must match."""

    method: str
    path: PathMatcher
    query: Matcher
    headers: tuple[tuple[str, Matcher], ...]
    body: BodyMatcher

    def compare(self, request: RequestOrPublish, context: MatchContext) -> None:
        """Compare all parts, to report all differences."""
        if isinstance(request, NormalizedPublish):
            context.differences.append(
                Difference("", f"{self.method} {self.path!r}", f"publish {shortened(masked_text(request.channel))}")
            )
            return
        if request.method == self.method:
            context.agreed.append("/method")
        else:
            context.differences.append(Difference("/method", self.method, request.method))
        self.path.compare(request.path, context)
        self.query.compare(request.query, "/query", context)
        for name, matcher in self.headers:
            _compare_header(name, matcher, request, context)
        self.body.compare(request, context)

    def accepts_path(self, path: NormalizedPath) -> bool:
        """True if the path matches."""
        context = MatchContext()
        self.path.compare(path, context)
        return not context.differences


def _compare_header(name: str, matcher: Matcher, request: NormalizedRequest, context: MatchContext) -> None:
    fields = request.headers.get_all(name)
    where = f"/headers/{name.lower()}"
    branch = context.branch()
    matcher.compare(", ".join(fields) if fields else MISSING, where, branch)
    context.join(branch)
    context.agreed.extend(branch.agreed)
    secret = is_secret_header(name)
    for difference in branch.differences:
        context.differences.append(Difference(where, HIDDEN, HIDDEN if fields else "nothing") if secret else difference)


@dataclass(frozen=True, slots=True)
class PublishPattern:
    """A Bayeux publish: channel, data and, if listed, ext must match."""

    channel: Matcher
    data: Matcher
    ext: Matcher | None

    def compare(self, request: RequestOrPublish, context: MatchContext) -> None:
        """Compare all parts."""
        if isinstance(request, NormalizedRequest):
            found = f"{request.method} {shortened(masked_text(str(request.path)))}"
            context.differences.append(Difference("", f"publish {self.channel!r}", found))
            return
        self.channel.compare(request.channel, "/channel", context)
        self.data.compare(request.compared, "/data", context)
        if self.ext is not None:
            self.ext.compare(request.ext, "/ext", context)


Trigger: TypeAlias = RequestPattern | PublishPattern


def match(trigger: Trigger, request: RequestOrPublish, ids: Mapping[str, JSON]) -> Match | Mismatch:
    """Compare a request with a pattern."""
    context = MatchContext(ids)
    trigger.compare(request, context)
    if context.differences:
        return Mismatch(tuple(context.agreed), tuple(context.differences))
    return Match(context.captures, context.session_captures, context.ids)


copy_by_constructor(__name__)
