"""Bodies that are forwarded while they arrive: which ones, and their copies for the recorder."""

from __future__ import annotations

from cometreel.content_codings import BodyTooLong, CodingInvalid, decode_content
from cometreel.http_fields import RawFields, field_text, headers_from_raw, media_type
from cometreel.recording.recorded_bodies import MAX_BODY, TOO_LARGE
from cometreel.wire import Headers

__all__ = ["BodyCopy", "decoded", "is_event_stream", "is_small"]

_SMALL = 64 * 1024
"""A body of at most this size, in bytes, may be forwarded as a whole."""

_EVENT_STREAMS = frozenset(
    {
        "application/json-seq",
        "application/jsonl",
        "application/ndjson",
        "application/stream+json",
        "application/x-ndjson",
        "multipart/x-mixed-replace",
        "text/event-stream",
    }
)
_INCOMPLETE = "not complete when the reply began"


class BodyCopy:
    """Copies the pieces of a body up to the largest size that is recorded. A call returns its piece unchanged."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self.complete = False

    def __call__(self, piece: bytes) -> bytes:
        """Copy a piece; an empty one ends the body, as in mitmproxy's `stream`."""
        self._size += len(piece)
        self.complete = not piece
        if self._size > MAX_BODY:
            self._pieces.clear()
        else:
            self._pieces.append(piece)
        return piece

    @property
    def body(self) -> bytes | None:
        """The body; None if it is incomplete or too large."""
        return b"".join(self._pieces) if self.complete and self._size <= MAX_BODY else None

    @property
    def missing(self) -> str:
        """The reason why there is no body."""
        return _INCOMPLETE if not self.complete else TOO_LARGE


def is_event_stream(content_type: str) -> bool:
    """Return True for a type whose messages have a meaning before the end of the body, which may never come."""
    kind = media_type(content_type)
    return kind in _EVENT_STREAMS or kind.startswith("application/grpc")


def is_small(content_length: str | None) -> bool:
    """Return True if a body has a known length that is small enough to be forwarded as a whole."""
    return content_length is not None and content_length.isdecimal() and int(content_length[:20]) <= _SMALL


def decoded(fields: RawFields, body: bytes | None) -> tuple[Headers, bytes | None, str]:
    """Return header fields and body without the Content-Encoding; without a body, and with the reason, if it is wrong.

    :raises ModuleNotFoundError: if the library of the coding is not installed.
    """
    codings = [value for name, value in fields if name.lower() == b"content-encoding"]
    if not body or not codings:
        return headers_from_raw(fields), body, ""
    try:
        body = decode_content(body, field_text(b",".join(codings)), MAX_BODY)
    except CodingInvalid:
        return headers_from_raw(fields), None, "not encoded as its Content-Encoding states"
    except BodyTooLong:
        return headers_from_raw(fields), None, TOO_LARGE
    return headers_from_raw(fields, decoded=True), body, ""
