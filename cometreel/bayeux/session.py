"""One session of a Bayeux server: its states, the legal moves between them, and its data.

`SessionState` and `SessionMove` define its state machine; an illegal move is a bug.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from cometreel.bayeux.messages import Message
from cometreel.bayeux.outbox import AckedOutbox, Outbox
from cometreel.bayeux.reply_channels import ReplyChannel, WebSocketReplyChannel
from cometreel.bayeux.settings import TransportName
from cometreel.errors import BugError

__all__ = ["MOVES", "BayeuxSession", "Poll", "SessionMove", "SessionState"]


class SessionState(Enum):
    """The state of a session."""

    __hash__ = object.__hash__  # that of `Enum` is a Python function, and each poll moves its session three times

    NEW = auto()
    """After the handshake and before the first connect; the time of `max_interval` runs."""
    IDLE = auto()
    """Connected, and no `/meta/connect` is held; the time runs."""
    HELD = auto()
    """A `/meta/connect` is held; the time doesn't run."""
    OVER = auto()
    """Ended: later messages for it get error 402."""


class SessionMove(Enum):
    """A change of state."""

    __hash__ = object.__hash__

    CONNECT = auto()
    """A `/meta/connect` was accepted; an earlier held one was ended before."""
    HOLD = auto()
    """The `/meta/connect` is held."""
    RELEASE = auto()
    """The held `/meta/connect` was answered, refused or cancelled."""
    END = auto()
    """The client or the server disconnected, or the session expired."""


MOVES: Final = MappingProxyType(
    {
        (SessionState.NEW, SessionMove.CONNECT): SessionState.IDLE,
        (SessionState.NEW, SessionMove.END): SessionState.OVER,
        (SessionState.IDLE, SessionMove.CONNECT): SessionState.IDLE,
        (SessionState.IDLE, SessionMove.HOLD): SessionState.HELD,
        (SessionState.IDLE, SessionMove.END): SessionState.OVER,
        (SessionState.HELD, SessionMove.RELEASE): SessionState.IDLE,
        (SessionState.HELD, SessionMove.END): SessionState.OVER,  # its poll is released next
        (SessionState.OVER, SessionMove.RELEASE): SessionState.OVER,
    }
)
"""The legal moves. The first connect isn't held, so that a client learns at once that it is connected."""


@dataclass(slots=True, eq=False)
class Poll:
    """A held `/meta/connect`: its reply channel, and the reply so far."""

    reply_channel: ReplyChannel
    reply: Message


@dataclass(slots=True, eq=False)
class BayeuxSession:
    """The session of one client."""

    client_id: str
    browser: str
    handshake_transport: TransportName
    """The transport of its handshake; over HTTP only this one may use it (CometD 3.1)."""
    outbox: Outbox | AckedOutbox
    interval: float
    """The current interval in seconds: the one that the client sent, else the setting."""
    state: SessionState = SessionState.NEW
    poll: Poll | None = None
    socket: WebSocketReplyChannel | None = None
    """The WebSocket that messages are sent on."""
    advised: TransportName | None = None
    """The transport on which the current advice was sent; None if it must be sent again."""
    batches: int = 0
    """Nothing is flushed while this is above 0: the session's own request is being processed."""
    in_flight: int = 0
    """The number of HTTP replies with messages that were neither written nor failed."""
    polls: int = 0
    """The number of `/meta/connect` messages that were accepted."""
    latest_request: int = 0
    """The id of the request of the latest one; on a WebSocket that of the upgrade."""
    overflowed: bool = False
    is_over: bool = False
    """True if the session has ended: its state is `OVER`."""

    @property
    def acked(self) -> bool:
        """True if it uses the acknowledgement extension."""
        return isinstance(self.outbox, AckedOutbox)

    def move(self, move: SessionMove) -> None:
        """Change the state.

        :raises BugError: if the move is not legal.
        """
        after = MOVES.get((self.state, move))
        if after is None:
            raise BugError(f"a Bayeux session that is {self.state.name} can't {move.name}")
        self.state, self.is_over = after, after is SessionState.OVER
