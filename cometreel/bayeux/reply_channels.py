"""Reply channels: an HTTP request that gets one reply, or a WebSocket that gets frames.

They frame encoded messages as effects, and keep those whose writing isn't confirmed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from cometreel.bayeux.messages import Message
from cometreel.bayeux.outbox import EncodedMessage
from cometreel.bayeux.settings import TransportName
from cometreel.jsonvalue import encode
from cometreel.wire import Drop, Effect, Frame, Headers, Reply, Request

if TYPE_CHECKING:
    from cometreel.bayeux.session import BayeuxSession

__all__ = ["HttpReplyChannel", "ReplyChannel", "WebSocketReplyChannel"]

_JSON_HEADERS = Headers((("Content-Type", "application/json;charset=utf-8"),))
_SCRIPT_HEADERS = Headers((("Content-Type", "text/javascript;charset=UTF-8"),))
_NO_HEADERS = Headers()


class HttpReplyChannel:
    """An HTTP request, which is answered once."""

    __slots__ = ("callback", "encoded", "gone", "headers", "holder", "position", "request_id", "session")

    def __init__(self, request_id: int, callback: str | None, headers: Iterable[tuple[str, str]]) -> None:
        self.request_id = request_id
        self.callback = callback
        self.headers = tuple(headers)
        self.gone = False
        self.holder: BayeuxSession | None = None
        """The session whose `/meta/connect` this is, while it is held."""
        self.session: BayeuxSession | None = None
        """The session whose messages the reply carries, until it is written or has failed."""
        self.encoded: Sequence[EncodedMessage] = ()
        """The messages that are queued again if the reply is not written."""
        self.position = 0
        """The position after its last message, if the session is acknowledged: these messages stay in the queue."""

    @property
    def transport(self) -> TransportName:
        """The transport."""
        return "long-polling" if self.callback is None else "callback-polling"

    def write(self, encoded: Sequence[EncodedMessage], replies: Sequence[Message]) -> list[Effect]:
        """Reply with the messages and then the replies, in one array (CometD 3.1)."""
        parts = [encode(reply) for reply in replies]
        if encoded:
            parts = [*[message.body for message in encoded], *parts]
        body = b"[" + (parts[0] if len(parts) == 1 else b",".join(parts)) + b"]"
        if self.callback is None:
            return self._reply(200, body, _JSON_HEADERS)
        return self._reply(200, self.callback.encode() + b"(" + body + b")", _SCRIPT_HEADERS)

    def refuse(self, status: int) -> list[Effect]:
        """Reply with a status and no body."""
        return self._reply(status, b"", _NO_HEADERS)

    def drop(self) -> list[Effect]:
        """Close the connection without a reply."""
        return [] if self.gone else [Drop(self.request_id)]

    def _reply(self, status: int, body: bytes, headers: Headers) -> list[Effect]:
        if self.gone:
            return []
        if self.headers:
            headers = Headers((*headers, *self.headers))
        return [Reply(self.request_id, status, headers, body)]


UnconfirmedFrame: TypeAlias = "tuple[BayeuxSession, EncodedMessage | int] | None"
_NOTHING_SENT: Final[deque[UnconfirmedFrame]] = deque(maxlen=0)
"""Shared by WebSockets without unconfirmed frames: there are thousands, and a deque takes 0.7 kB."""


class WebSocketReplyChannel:
    """An open WebSocket.

    Each message is sent in a separate frame; the replies to one frame are sent together (CometD 3.1).
    """

    __slots__ = ("gone", "request", "sent", "sessions")

    transport: TransportName = "websocket"

    def __init__(self, request: Request) -> None:
        self.request = request
        self.gone = False
        self.sessions: dict[str, BayeuxSession] = {}
        """The sessions whose messages are sent on this WebSocket."""
        self.sent = _NOTHING_SENT
        """The message of each unconfirmed frame; for an acknowledged session, the position after its last message."""

    @property
    def request_id(self) -> int:
        """The id of the upgrade request."""
        return self.request.id

    def push(self, session: BayeuxSession, encoded: Sequence[EncodedMessage], *, remember: bool) -> list[Effect]:
        """Send messages, one frame each; `remember` those that are queued again if they aren't written."""
        if self.gone:
            return []
        self._unconfirmed().extend([(session, each) if remember else None for each in encoded])
        return [Frame(self.request_id, f"[{encoded.body.decode()}]") for encoded in encoded]

    def write(self, encoded: Sequence[EncodedMessage], replies: Sequence[Message]) -> list[Effect]:
        """Send messages and replies in one frame, so that a client gets both the messages and their batch number."""
        if self.gone:
            return []
        self._unconfirmed().append(None)
        body = b",".join([*(encoded.body for encoded in encoded), *map(encode, replies)])
        return [Frame(self.request_id, f"[{body.decode()}]")]

    def _unconfirmed(self) -> deque[UnconfirmedFrame]:
        if self.sent is _NOTHING_SENT:
            self.sent = deque()
        return self.sent

    def remember(self, session: BayeuxSession, position: int) -> None:
        """Remember that the latest frame contains the messages of an acknowledged session before this position."""
        self.sent[-1] = session, position

    def confirm(self) -> UnconfirmedFrame:
        """Remove and return the oldest unconfirmed frame, which was written."""
        if not self.sent:
            return None
        oldest = self.sent.popleft()
        if not self.sent:
            self.sent = _NOTHING_SENT
        return oldest

    def close(self, code: int) -> list[Effect]:
        """Close the WebSocket with a close code."""
        if self.gone:
            return []
        self.gone = True
        return [Drop(self.request_id, code)]


ReplyChannel: TypeAlias = HttpReplyChannel | WebSocketReplyChannel
