"""Responders: Python functions that can answer a request before the exchanges are matched.

Responders are registered on a backend. A scenario can't contain one, so loading a scenario never runs code.
"""

from __future__ import annotations

import importlib.util
import inspect
import math
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

from cometreel.errors import FileInvalid, OptionInvalid, Problem
from cometreel.jsonvalue import JSON, JSONObject, encode
from cometreel.scenario import NormalizedPublish, RequestOrPublish, checks
from cometreel.scenario.findings import Finding, describe

__all__ = [
    "Notification",
    "Responder",
    "ResponderRequest",
    "Response",
    "call_responder",
    "check_responders",
    "load_responders",
    "responder_request",
]


@dataclass(frozen=True, slots=True)
class ResponderRequest:
    """The request that a responder gets."""

    method: str
    """The HTTP method, or `PUBLISH` for a Bayeux publish."""
    path: str
    """The path, normalised as for matching; the channel of a publish."""
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str]
    """By lower-case name; the first value of a repeated field."""
    body: JSON
    """The JSON body; None if there is no body, or it isn't JSON."""
    text: str
    """The body as text."""
    user: str | None
    """The user that is logged in, or None."""
    role: str | None
    """The role of the session, or None."""
    session: dict[str, JSON]
    """The values of the session (`session.name` in templates). A responder may change them."""


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification that follows the reply."""

    channel: str
    data: JSON
    after_seconds: float = 0.0
    """The delay after the request; it is divided by the speed."""
    ext: JSONObject | None = None
    batch: str | None = None
    """Notifications with the same batch that are due at the same time are delivered together."""
    deliver: str = "asker"
    """The receivers: `asker`, `subscribers` of the channel, `all` sessions, or the name of a role."""

    def __post_init__(self) -> None:
        """Check the values.

        :raises OptionInvalid: if one of them can't be sent.
        """
        _require("channel", checks.channel(self.channel))
        _require_json("data", self.data)
        if self.ext is not None:
            _require_json("ext", self.ext)
        _require_delay(self.after_seconds)


@dataclass(frozen=True, slots=True)
class Response:
    """The response of a responder. `body` is sent as JSON, `content` as it is."""

    body: JSON = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    after_seconds: float = 0.0
    events: Sequence[Notification] = ()

    def __post_init__(self) -> None:
        """Check the values.

        :raises OptionInvalid: if one of them can't be sent.
        """
        _require("status", checks.status(self.status))
        headers: JSONObject = dict(self.headers)
        _require("headers", checks.header_names(headers))
        for name, value in headers.items():
            _require(f"headers[{name!r}]", checks.header_line(value))
        if self.content is None:
            _require_json("body", self.body)
        elif not isinstance(self.content, bytes):
            raise OptionInvalid("content", describe(self.content), "bytes")
        _require_delay(self.after_seconds)
        for event in self.events:
            if not isinstance(event, Notification):
                raise OptionInvalid("events", describe(event), "a Notification")


def _require(name: str, findings: Iterable[Finding]) -> None:
    for finding in findings:
        raise OptionInvalid(name, finding.found, finding.expected, finding.hint)


def _require_json(name: str, value: JSON) -> None:
    try:
        encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise OptionInvalid(name, f"it can't be encoded: {error}", "a JSON value") from None


def _require_delay(seconds: object) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
        raise OptionInvalid("after_seconds", describe(seconds), "a number of seconds, 0 or more")


def responder_request(
    normalized: RequestOrPublish, user: str | None, role: str | None, session: dict[str, JSON]
) -> ResponderRequest:
    """Convert a request for responders. The body is copied, because equal requests share it."""
    if isinstance(normalized, NormalizedPublish):
        return ResponderRequest("PUBLISH", normalized.channel, {}, {}, normalized.data, "", user, role, session)
    query = {name: value if isinstance(value, list) else [value] for name, value in normalized.query.items()}
    texts = {name: tuple(str(value) for value in values) for name, values in query.items()}
    headers: dict[str, str] = {}
    for name, value in normalized.headers:
        headers.setdefault(name.lower(), value)
    text = normalized.content.decode(errors="replace")
    body = deepcopy(normalized.body)
    return ResponderRequest(normalized.method, str(normalized.path), texts, headers, body, text, user, role, session)


Responder: TypeAlias = "Callable[[ResponderRequest], Response | None]"
"""Returns a response, or None to pass the request to the next responder or to the exchanges."""


def check_responders(responders: Iterable[Responder]) -> None:
    """Check that responders can be called.

    :raises OptionInvalid: if one of them is not a function, or an `async` function.
    """
    for responder in responders:
        if not callable(responder):
            raise OptionInvalid("responder", describe(responder), "a function")
        if inspect.iscoroutinefunction(responder):
            raise OptionInvalid("responder", f"{responder.__name__} is an async function", "a function without async")


def call_responder(responder: Responder, request: ResponderRequest) -> Response | None:
    """Call a responder.

    :raises OptionInvalid: if it returns something else than a response or None.
    """
    response = responder(request)
    if response is not None and not isinstance(response, Response):
        raise OptionInvalid("return value", describe(response), "a Response or None")
    return response


def load_responders(path: Path) -> Sequence[Responder]:
    """Run a Python file and return its list `responders`, as mitmproxy takes the list `addons` of a script.

    :raises FileInvalid: if the file is missing, fails while it runs, or has no such list of functions.
    """
    responders = getattr(_run(path), "responders", None)
    if not isinstance(responders, (list, tuple)):
        raise _invalid(path, 0, "the file has no list of responders", "a list `responders = [function, …]`")
    for responder in responders:
        if not callable(responder):
            raise _invalid(path, 0, f"{responder!r} in `responders` can't be called", "a function")
    return responders


def _run(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path) if path.suffix == ".py" else None
    if spec is None or spec.loader is None or not path.is_file():
        raise _invalid(path, 0, "there is no such Python file", "a file with responders", "reel_responders=FILE.py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise _invalid(path, error.lineno or 0, f"SyntaxError: {error.msg}") from None
    except Exception as error:  # noqa: BLE001  # any error in a user's file is reported with its line
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = (lines and lines[-1]) or 0
        raise _invalid(path, line, f"{type(error).__name__}: {error}") from None
    return module


def _invalid(path: Path, line: int, found: str, expected: str = "", hint: str = "") -> FileInvalid:
    return FileInvalid([Problem(str(path), line, 1 if line else 0, found, expected, hint)])
