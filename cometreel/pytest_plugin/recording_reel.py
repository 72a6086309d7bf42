"""The recording behind the `reel` fixture, from the real server."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from cometreel.bayeux import looks_like_bayeux
from cometreel.engine import Call, Calls, FaultInfo, GivenUpEvent, Responder
from cometreel.errors import CometreelError
from cometreel.jsonvalue import JSON, JSONObject, NotJSON, decode, encode
from cometreel.scenario import Exchange
from cometreel.serve import Limits, ListenOptions, serve_in_background
from cometreel.serve.http_server import connections_allowed

if TYPE_CHECKING:
    from cometreel.recording.upstream import Upstream

__all__ = ["NotWhileRecording", "RecordingReel", "unlimited"]


class NotWhileRecording(CometreelError):
    """A test has called a method that is only available in a replay."""

    def __init__(self, method: str, upstream: str) -> None:
        self.method = method
        super().__init__(
            f"reel.{method}: not available while {upstream} is being recorded; "
            "expected a scenario that is replayed (skip this test, or pass --reel-record-mode=none)"
        )


def unlimited() -> Limits:
    """Return limits for the clients of a recording, which must work as they do without it."""
    return Limits(connections_allowed(), math.inf, math.inf, sys.maxsize)


class RecordingReel:
    """A recording proxy on its own thread, with the calls of the test."""

    def __init__(self, upstream: Upstream, file: Path, report: Callable[[str], None], *, only_new: bool) -> None:
        from cometreel.recording.recording_session import RecordingSession  # noqa: PLC0415  # httpx, optional

        self._file, self._report, self._only_new = file, report, only_new
        self._calls: list[Call] = []
        self._recording = RecordingSession(upstream, file)
        options = ListenOptions(limits=unlimited())
        self._server = serve_in_background(self._recording.proxy_factory(self._add_calls), options)

    @property
    def url(self) -> str:
        """The URL of the proxy."""
        return self._server.url

    @property
    def calls(self) -> Calls:
        """The calls so far, all with session 0, because the proxy does not distinguish sessions."""
        return Calls(self._calls)

    def unmatched_and_failed(self) -> tuple[Calls, Calls]:
        """Return no calls, because the real server answers all of them."""
        return Calls(), Calls()

    def unplayed(self) -> Sequence[Exchange]:
        """Return no exchanges, because there is no scenario yet."""
        return ()

    def undelivered(self) -> tuple[Sequence[GivenUpEvent], Mapping[int, int]]:
        """Return no notifications, because the real server delivers them."""
        return (), {}

    def push(self, channel: str, data: JSON, session: int | None, user: str | None, ext: JSONObject | None) -> NoReturn:
        """Raise NotWhileRecording."""
        self._refuse("push")

    def fault(self, fault: Mapping[str, JSON], session: int | None) -> FaultInfo:
        """Raise NotWhileRecording."""
        self._refuse("fault")

    def register(self, responder: Responder) -> NoReturn:
        """Raise NotWhileRecording."""
        self._refuse("register")

    def stop(self) -> None:
        """Stop the proxy, write the scenario, and report its path.

        :raises FileInvalid: if the scenario can't be written; the journal is complete.
        """
        self._server.stop()
        result = self._recording.finish(only_new=self._only_new)
        scenario = f"scenario in {result.scenario}" if result.scenario else f"{self._file} is unchanged"
        for line in (f"{scenario}; journal in {result.journal}", *(f"  {line}" for line in result.lines)):
            self._report(line)
        for line in result.difference.splitlines():
            self._report(f"  {line}")

    def _refuse(self, method: str) -> NoReturn:
        raise NotWhileRecording(method, str(self._recording.upstream))

    def _add_calls(self, method: str, target: str, body: bytes, status: int | None) -> None:
        for call_method, call_target, call_body in _calls_of(method, target, body):
            self._calls.append(
                Call(
                    at=time.monotonic(),
                    session=0,
                    role=None,
                    user=None,
                    method=call_method,
                    target=call_target,
                    body=call_body,
                    exchange=None,
                    outcome="recorded",
                    number=len(self._calls) + 1,
                    status=status if call_method == method else None,
                )
            )


def _calls_of(method: str, target: str, body: bytes) -> Iterator[tuple[str, str, bytes]]:
    """Yield method, target and body of a request, or of each publish if it consists of Bayeux messages."""
    try:
        value = decode(body) if b"channel" in body else None
    except NotJSON:
        value = None
    if not looks_like_bayeux(value):
        if method != "WEBSOCKET":
            yield method, target, body
        return
    for message in value if isinstance(value, list) else [value]:
        channel = message.get("channel") if isinstance(message, dict) else None
        if isinstance(message, dict) and isinstance(channel, str) and not channel.startswith("/meta/"):
            yield "PUBLISH", channel, encode(message.get("data"))
