"""Records live traffic in its order without delaying it: large bodies are decoded and redacted on a thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from cometreel.http_fields import RawFields
from cometreel.recording.recorder import Recorder
from cometreel.recording.streamed_bodies import decoded
from cometreel.recording.write_queue import WriteQueue
from cometreel.wire import Headers

__all__ = ["LiveRecorder"]

Decoder: TypeAlias = Callable[[RawFields, bytes | None], tuple[Headers, bytes | None, str]]
"""Returns the header fields, and the decoded body or the reason why it is missing."""

_EXCLUDED = "a request that the filter excludes"
_OVERLOAD = "more traffic than the recorder can write"


class LiveRecorder:
    """Calls a `Recorder` through a `WriteQueue`, with the time of the call. Messages are passed as they were sent.

    Requests that are not recorded are counted as left out. `report` is called with one line if an event can't be
    recorded.
    """

    def __init__(self, recorder: Recorder, report: Callable[[str], None], decode: Decoder = decoded) -> None:
        self._recorder, self._decode = recorder, decode
        self._queue = WriteQueue(report)

    def request(
        self,
        flow: str,
        head: tuple[str, str],
        fields: RawFields,
        body: bytes | None,
        *,
        missing: str = "",
        wanted: bool = True,
        at: float | None = None,
    ) -> None:
        """Record a request with its method and URL, if it is Bayeux or wanted and not recorded already."""

        def write() -> None:
            if not self._recorder.is_recorded(flow):
                headers, content, reason = self._decode(fields, kept)
                reason = missing or reason
                self._recorder.request(flow, *head, headers, content, wanted=wanted, at=started, missing=reason)

        if self.is_recorded(flow):
            return
        started = time.time() if at is None else at
        kept, missing = self._kept(body, missing)
        self._queue.run(write, kept)

    def reply(
        self, flow: str, status: int, fields: RawFields, body: bytes | None, *, missing: str = "", wanted: bool = True
    ) -> None:
        """Record the reply of a request that is recorded."""

        def write() -> None:
            if not self._recorder.is_recorded(flow):
                self._recorder.leave_out(_EXCLUDED)
            elif not wanted and not self._recorder.is_bayeux(flow):
                self._recorder.reply(flow, status, Headers(), b"", wanted=False, at=ended)
            else:
                headers, content, reason = self._decode(fields, kept)
                self._recorder.reply(flow, status, headers, content, at=ended, missing=missing or reason)

        ended = time.time()
        kept, missing = self._kept(body, missing)
        self._queue.run(write, kept)

    def stream(self, flow: str) -> None:
        """Record that the reply of a request is an event stream."""
        self._end(flow, partial(self._recorder.stream, flow, at=time.time()))

    def error(self, flow: str, message: str) -> None:
        """Record that a request failed."""
        self._end(flow, partial(self._recorder.error, flow, message, at=time.time()))

    def is_recorded(self, flow: str) -> bool:
        """Return True if it is certain that a request is recorded."""
        return self._queue.is_idle and self._recorder.is_recorded(flow)

    def needs_body(self, flow: str) -> bool:
        """Return False if it is certain that a reply is recorded only if the filter wants it."""
        return not self._queue.is_idle or self._recorder.is_bayeux(flow)

    def opened(self, flow: str, url: str, headers: Headers, reply_headers: Headers, *, wanted: bool = True) -> None:
        """Record a WebSocket with the header fields of the upgrade and of its reply."""
        self._queue.run(
            partial(self._recorder.opened, flow, url, headers, reply_headers, wanted=wanted, at=time.time())
        )

    def frame(self, flow: str, from_client: bool, content: str | bytes) -> None:
        """Record a message of a WebSocket."""
        if self._queue.has_space(content):
            write = partial(self._recorder.frame, flow, from_client, content, at=time.time())
            self._queue.run(write, content if isinstance(content, str) else None)
        else:
            self._queue.run(partial(self._recorder.leave_out, f"a WebSocket message: {_OVERLOAD}"))

    def closed(self, flow: str, code: int) -> None:
        """Record the end of a WebSocket."""
        self._queue.run(partial(self._recorder.closed, flow, code, at=time.time()))

    def mark(self, text: str) -> None:
        """Write a remark of the user."""
        self._queue.run(partial(self._recorder.mark, text))

    def write_left_out(self) -> None:
        """Write the number of omissions, by reason."""
        self._queue.run(self._recorder.write_left_out)

    def wait(self) -> None:
        """Wait until everything so far is written."""
        self._queue.wait()

    def close(self) -> None:
        """Wait until everything is written, and end the thread; the journal stays open."""
        self._queue.close()

    def _end(self, flow: str, write: Callable[[], None]) -> None:
        def write_or_count() -> None:
            if self._recorder.is_recorded(flow):
                write()
            else:
                self._recorder.leave_out(_EXCLUDED)

        self._queue.run(write_or_count)

    def _kept(self, body: bytes | None, missing: str) -> tuple[bytes | None, str]:
        """Return the body, or None and the reason if too much is waiting already."""
        if body and not self._queue.has_space(body):
            return None, _OVERLOAD
        return body, missing if body is None else ""
