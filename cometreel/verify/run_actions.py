"""What a run orders: everything that its driver does on the network. Orders are in the imperative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from cometreel.verify.request_building import BuiltPublish, BuiltRequest

__all__ = ["SendRequest", "OpenSession", "CloseSession", "RunAction", "SendPublish"]


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Begin the CometD session of a part and subscribe to its channels; then say `connected`."""

    part: str


@dataclass(frozen=True, slots=True)
class SendRequest:
    """Send an HTTP request in a part's session; then say `replied` or `unanswered` with the number.

    `status` is the one that was recorded, None where it isn't known before; `seconds` how long the reply took then.
    `stranger` wants no session and no credentials: the request is to be refused, as it was when it was recorded.
    """

    number: int
    part: str
    ask: BuiltRequest
    status: int | None = None
    seconds: float = 0.0
    stranger: bool = False


@dataclass(frozen=True, slots=True)
class SendPublish:
    """Publish in a part's CometD session; then say `published` or `unanswered` with the number."""

    number: int
    part: str
    ask: BuiltPublish


@dataclass(frozen=True, slots=True)
class CloseSession:
    """End the CometD session of a part."""

    part: str


RunAction: TypeAlias = OpenSession | SendRequest | SendPublish | CloseSession
