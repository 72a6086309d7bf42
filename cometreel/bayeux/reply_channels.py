"""Where answers go: an HTTP request that wants one reply, or a WebSocket that takes frames.

A line turns encoded messages into effects, and remembers which of them the door hasn't confirmed yet. It knows the
framing of its transport and no rule of the protocol.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from cometreel.bayeux.messages import Message
from cometreel.bayeux.outbox import EncodedMessage
from cometreel.bayeux.settings import TransportName
from cometreel.jsonvalue import encode
from cometreel.wire import Drop, Effect, Frame, Headers, Reply, Request

if TYPE_CHECKING:
    from cometreel.bayeux.session import BayeuxSession

__all__ = ["HttpReplyChannel", "ReplyChannel", "WebSocketReplyChannel"]

_JSON = ("Content-Type", "application/json;charset=utf-8")
_SCRIPT = ("Content-Type", "text/javascript;charset=UTF-8")


class HttpReplyChannel:
    """An HTTP request to be answered once."""

    __slots__ = ("callback", "gone", "headers", "holder", "parcels", "request_id", "session")

    def __init__(self, request_id: int, callback: str | None, headers: Iterable[tuple[str, str]]) -> None:
        self.request_id = request_id
        self.callback = callback
        self.headers = list(headers)
        self.gone = False
        self.holder: BayeuxSession | None = None
        """Whose `/meta/connect` this is, while it is held."""
        self.session: BayeuxSession | None = None
        """Whose messages the reply carries, while it is neither written nor failed."""
        self.parcels: Sequence[EncodedMessage] = ()

    @property
    def transport(self) -> TransportName:
        """The transport whose framing this is."""
        return "long-polling" if self.callback is None else "callback-polling"

    def write(self, parcels: Sequence[EncodedMessage], replies: Sequence[Message]) -> list[Effect]:
        """Answer with the messages and then the replies, in one array (CometD 3.1)."""
        body = b"[" + b",".join([*(parcel.body for parcel in parcels), *map(encode, replies)]) + b"]"
        content_type = _JSON
        if self.callback is not None:
            content_type = _SCRIPT
            body = self.callback.encode() + b"(" + body + b")"
        return self._reply(200, body, content_type)

    def refuse(self, status: int) -> list[Effect]:
        """Answer with a status and nothing else."""
        return self._reply(status, b"")

    def drop(self) -> list[Effect]:
        """End the connection without an answer."""
        return [] if self.gone else [Drop(self.request_id)]

    def _reply(self, status: int, body: bytes, *fields: tuple[str, str]) -> list[Effect]:
        if self.gone:
            return []
        return [Reply(self.request_id, status, Headers((*fields, *self.headers)), body)]


class WebSocketReplyChannel:
    """An open WebSocket.

    Each message goes in a frame of its own, and the replies to one frame go together (CometD 3.1).
    """

    __slots__ = ("gone", "request", "sent", "sessions")

    transport: TransportName = "websocket"

    def __init__(self, request: Request) -> None:
        self.request = request
        self.gone = False
        self.sessions: dict[str, BayeuxSession] = {}
        """The sessions whose messages go to this socket."""
        self.sent: deque[tuple[BayeuxSession, EncodedMessage] | None] = deque()
        """What each frame carried that the door hasn't confirmed."""

    @property
    def request_id(self) -> int:
        """The id of the request that opened it."""
        return self.request.id

    def push(self, session: BayeuxSession, parcels: Sequence[EncodedMessage], *, remember: bool) -> list[Effect]:
        """Send messages, one frame each; `remember` those that must come back if they aren't written."""
        if self.gone:
            return []
        self.sent.extend((session, parcel) if remember else None for parcel in parcels)
        return [Frame(self.request_id, f"[{parcel.body.decode()}]") for parcel in parcels]

    def write(self, parcels: Sequence[EncodedMessage], replies: Sequence[Message]) -> list[Effect]:
        """Send messages and replies in one frame: a client gets both the messages and their number, or neither."""
        if self.gone:
            return []
        self.sent.append(None)
        body = b",".join([*(parcel.body for parcel in parcels), *map(encode, replies)])
        return [Frame(self.request_id, f"[{body.decode()}]")]

    def close(self, code: int) -> list[Effect]:
        """Close the socket with a close code."""
        if self.gone:
            return []
        self.gone = True
        return [Drop(self.request_id, code)]


ReplyChannel: TypeAlias = HttpReplyChannel | WebSocketReplyChannel
