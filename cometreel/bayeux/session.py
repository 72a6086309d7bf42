"""One session of a Bayeux server: its state, the moves that are legal, and what belongs to it.

Nothing here talks to anybody: rules that need the application, other sessions or the time live elsewhere.
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

__all__ = ["MOVES", "SessionMove", "Poll", "BayeuxSession", "SessionState"]


class SessionState(Enum):
    """Where a session stands."""

    NEW = auto()
    """It has shaken hands and never connected; the clock of `max_interval` runs."""
    IDLE = auto()
    """It has connected and no `/meta/connect` is held; the clock runs."""
    HELD = auto()
    """A `/meta/connect` is held; the clock doesn't run."""
    OVER = auto()
    """It is gone: whoever names it is told 402."""


class SessionMove(Enum):
    """What can happen to a session."""

    CONNECT = auto()
    """A `/meta/connect` was accepted; an earlier one that was held has been ended before."""
    HOLD = auto()
    """The `/meta/connect` is held."""
    RELEASE = auto()
    """The held `/meta/connect` was answered, refused or given up."""
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
"""The legal moves. The first connect isn't held, because a client is to learn at once that it is connected."""


@dataclass(slots=True, eq=False)
class Poll:
    """A held `/meta/connect`: where its answer goes, and the answer so far."""

    line: ReplyChannel
    reply: Message


@dataclass(slots=True, eq=False)
class BayeuxSession:
    """One client's session."""

    client_id: str
    browser: str
    home: TransportName
    """The transport of its handshake; over HTTP it is known to that one only (CometD 3.1)."""
    outbox: Outbox | AckedOutbox
    interval: float
    """The interval in force, seconds: what the client asked for, else the setting."""
    state: SessionState = SessionState.NEW
    poll: Poll | None = None
    socket: WebSocketReplyChannel | None = None
    """The WebSocket that messages go to."""
    advised: TransportName | None = None
    """The transport over which the advice in force was told; None when it must be told again."""
    batches: int = 0
    """While above 0 nothing is flushed: the session's own request is being processed."""
    in_flight: int = 0
    """How many HTTP replies with messages were neither written nor failed yet, where that matters."""
    overflowed: bool = False

    @property
    def over(self) -> bool:
        """Whether the session is gone."""
        return self.state is SessionState.OVER

    @property
    def acked(self) -> bool:
        """Whether it uses the acknowledgement extension."""
        return isinstance(self.outbox, AckedOutbox)

    def move(self, move: SessionMove) -> None:
        """Change the state.

        :raises BugError: if the table of moves has no such move.
        """
        after = MOVES.get((self.state, move))
        if after is None:
            raise BugError(f"a Bayeux session that is {self.state.name} can't {move.name}")
        self.state = after
