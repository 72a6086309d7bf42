"""The history of a simulated run: everything that clients and the environment did, and everything that was received.

A `History` is a list of the classes below in the order in which they happened. `at` is the virtual time in seconds on
the clock of the engine; `client` is the name of a client in the plan; `node` is the index of the server. The history
contains no state of the engine, so it can be checked, compared, or translated to wire events of a recording:

| entry | on the wire |
|---|---|
| `Sent` | an HTTP request, or the upgrade to a WebSocket (`request.websocket`) has reached the server |
| `FrameSent` | a text frame of a client has reached the server; `request_id` is that of the upgrade |
| `Emitted` | the server has started to write: a `Reply`, an `Accept`, a `Frame`, or a `Drop` |
| `Delivered` | the client has received all of the oldest undelivered `Reply` or `Frame` of this request |
| `Lost` | the client has hung up, or a write has failed: it has received nothing of what was not delivered |
| `Changed` | the environment has changed the server; `what` names the step |
| `Logged` | the server has written a log line |
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.wire import Accept, Begin, Chunk, Drop, End, Forward, Frame, Reply, Request

Output: TypeAlias = Reply | Begin | Chunk | End | Accept | Frame | Drop | Forward


class Meaning(NamedTuple):
    """The meaning of a request, as its client knows it.

    `names` are the identities that it carries, those that have priority first: `c:` and a session cookie, `b:` and a
    browser cookie, `i:` and a clientId, `v:` and a bound value, `u:` or `t:` and credentials.
    """

    kind: str
    """`call` (an operation of the plan), `head` (its HEAD), `messages` (Bayeux), `open` (a WebSocket) or `other`."""
    names: tuple[str, ...] = ()
    operation: str = ""
    number: int = 0
    """The number of a call, unique in a run."""
    messages: tuple[JSONObject, ...] = ()
    user: str = ""
    """The user that the request logs in."""


class Sent(NamedTuple):
    """An HTTP request or an upgrade has reached the server."""

    at: float
    node: int
    client: str
    request: Request
    meaning: Meaning


class FrameSent(NamedTuple):
    """A frame of a client has reached the server."""

    at: float
    node: int
    client: str
    request_id: int
    text: str
    meaning: Meaning


class Emitted(NamedTuple):
    """The server has sent this."""

    at: float
    node: int
    client: str
    output: Output


class Delivered(NamedTuple):
    """The client has received the oldest undelivered reply or frame of a request; `content` is its parsed body."""

    at: float
    node: int
    client: str
    request_id: int
    content: JSON


class Lost(NamedTuple):
    """The client of a request or of a WebSocket has gone."""

    at: float
    node: int
    client: str
    request_id: int


class Changed(NamedTuple):
    """The environment has changed a server, or time."""

    at: float
    node: int
    what: str
    value: JSON = None


class Logged(NamedTuple):
    """The server has written a line to its log."""

    at: float
    node: int
    level: str
    text: str


HistoryEntry: TypeAlias = Sent | FrameSent | Emitted | Delivered | Lost | Changed | Logged
History: TypeAlias = list[HistoryEntry]
