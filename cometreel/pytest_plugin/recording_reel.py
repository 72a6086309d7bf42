"""A scenario that is being recorded from the real server while a test runs. Knows no pytest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from cometreel.bayeux import looks_like_bayeux
from cometreel.engine import Call, Calls, FaultInfo, Responder
from cometreel.errors import CometreelError
from cometreel.jsonvalue import JSON, JSONObject, NotJSON, decode, encode
from cometreel.scenario import Exchange
from cometreel.serve import serve_in_background

if TYPE_CHECKING:
    from cometreel.recording.upstream import Upstream

__all__ = ["NotWhileRecording", "RecordingReel"]


class NotWhileRecording(CometreelError):
    """A test wants to act in the place of a server that is real."""

    def __init__(self, what: str, upstream: str) -> None:
        self.what = what
        super().__init__(
            f"reel.{what}: the real server at {upstream} is being recorded, and only it decides; "
            "expected a scenario that is replayed (leave this test out, or --reel-record-mode=none)"
        )


class RecordingReel:
    """One recording, on a thread of its own, with what the test asked meanwhile."""

    def __init__(self, upstream: Upstream, file: Path, say: Callable[[str], None], *, only_new: bool) -> None:
        from cometreel.recording.recording_session import RecordingSession  # noqa: PLC0415  # httpx, optional

        self._file, self._say, self._only_new = file, say, only_new
        self._calls: list[Call] = []
        self._recording = RecordingSession(upstream, file)
        self._served = serve_in_background(self._recording.proxy_factory(self._witness))

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._served.url

    @property
    def calls(self) -> Calls:
        """What was asked so far; nothing here tells one session from another, so all have the number 0."""
        return Calls(self._calls)

    def unanswered(self) -> tuple[Calls, Calls]:
        """Nothing: the server answers in its own way."""
        return Calls(), Calls()

    def unplayed(self) -> Sequence[Exchange]:
        """Nothing: there is no scenario yet."""
        return ()

    def push(self, channel: str, data: JSON, session: int | None, user: str | None, ext: JSONObject | None) -> NoReturn:
        """Refuse."""
        self._refuse("push")

    def fault(self, fault: Mapping[str, JSON], session: int | None) -> FaultInfo:
        """Refuse."""
        self._refuse("fault")

    def register(self, responder: Responder) -> NoReturn:
        """Refuse."""
        self._refuse("register")

    def stop(self) -> None:
        """Stop listening, write the scenario, and say where it is.

        :raises FileInvalid: if it can't be written; the journal is safe.
        """
        self._served.stop()
        made = self._recording.finish(only_new=self._only_new)
        where = f"scenario in {made.scenario}" if made.scenario else f"{self._file} stays as it is"
        for line in (f"{where}; journal in {made.journal}", *(f"  {line}" for line in made.lines)):
            self._say(line)
        for line in made.difference.splitlines():
            self._say(f"  {line}")

    def _refuse(self, what: str) -> NoReturn:
        raise NotWhileRecording(what, str(self._recording.upstream))

    def _witness(self, method: str, target: str, body: bytes, status: int | None) -> None:
        for said in _calls(method, target, body):
            self._calls.append(
                Call(
                    at=time.monotonic(),
                    session=0,
                    role=None,
                    user=None,
                    method=said[0],
                    target=said[1],
                    body=said[2],
                    exchange=None,
                    outcome="recorded",
                    number=len(self._calls) + 1,
                    status=status if said[0] == method else None,
                )
            )


def _calls(method: str, target: str, body: bytes) -> Iterator[tuple[str, str, bytes]]:
    """Tell what a request or a frame is to a replay: a call, or for Bayeux messages each publish among them."""
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
