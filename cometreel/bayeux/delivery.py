"""How messages reach their session: waiting, riding on replies, releasing held polls, coming back when not written.

The promise is kept here: until its session ends no message is lost, and none overtakes another. What the messages
say, and who may send them, is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from cometreel.bayeux.messages import Message
from cometreel.bayeux.outbox import AckedOutbox, EncodedMessage, Outbox
from cometreel.bayeux.registry import Registry
from cometreel.bayeux.reply_channels import HttpReplyChannel, ReplyChannel, WebSocketReplyChannel
from cometreel.bayeux.session import BayeuxSession, Poll, SessionMove
from cometreel.wire import Log

__all__ = ["Delivery", "complete"]


class Delivery:
    """Messages, polls and sockets of one server."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.lines: dict[int, ReplyChannel] = {}
        """Open sockets, held requests, and requests whose reply carried messages and isn't confirmed."""

    # ------------------------------------------------------------------ messages
    def put(self, session: BayeuxSession, parcel: EncodedMessage) -> None:
        """Queue one message."""
        fits = session.outbox.put(parcel)
        self._watch(session, fits=fits)

    def flush(self, session: BayeuxSession, now: float) -> None:
        """Send what waits for a session, if there is a way and its own request isn't being processed."""
        if session.batches:
            return
        if session.over:
            self._flush_last(session, now)
        elif session.outbox.ready and not session.in_flight:
            if session.socket is not None and not self._registry.connect_only(session):
                self._push(session, session.socket)
            elif session.poll is not None:
                self.release(session, now)

    def _take(self, session: BayeuxSession, line: ReplyChannel) -> tuple[EncodedMessage, ...]:
        """Take what waits for a session to write it on a line."""
        if session.in_flight and not session.over:
            return ()  # what went before it may yet come back, and must not be overtaken
        parcels = session.outbox.take()
        if parcels and isinstance(line, HttpReplyChannel) and self._keeps(session):
            line.session, line.parcels = session, parcels
            self.lines[line.request_id] = line
            session.in_flight += 1
        return parcels

    def _push(self, session: BayeuxSession, socket: WebSocketReplyChannel) -> None:
        if session.in_flight and not session.over:
            return
        parcels = session.outbox.take()
        self._registry.effects += socket.push(session, parcels, remember=self._keeps(session))

    def _flush_last(self, session: BayeuxSession, now: float) -> None:
        if session.socket is not None and not session.acked:
            self._push(session, session.socket)
        if session.poll is not None:
            self.release(session, now)
        self._unbind(session)

    def _keeps(self, session: BayeuxSession) -> bool:
        return self._registry.settings.on_hangup == "keep" and not session.acked and not session.over

    def _watch(self, session: BayeuxSession, *, fits: bool) -> None:
        if not fits and not session.overflowed:
            session.overflowed = True
            limit = self._registry.settings.max_queue
            text = f"more than {limit} messages wait for one CometD session: the oldest are dropped from now on"
            self._registry.effects.append(Log("warning", text))

    # ------------------------------------------------------------------ polls
    def hold(self, session: BayeuxSession, line: ReplyChannel, reply: Message, until: float) -> None:
        """Hold a `/meta/connect` until something is to be said, or that time."""
        session.move(SessionMove.HOLD)
        session.poll = Poll(line, reply)
        if isinstance(line, HttpReplyChannel):
            line.holder = session
        self.lines[line.request_id] = line
        self._registry.deadlines.set(session.client_id, until)

    def release(self, session: BayeuxSession, now: float) -> None:
        """Answer the held `/meta/connect` with what waits."""
        poll = self._end_poll(session, now)
        if poll is not None:
            complete(session, poll.reply)
            self.write(session, poll.line, [poll.reply], drain=True)

    def cancel(self, session: BayeuxSession, now: float) -> None:
        """End the held `/meta/connect` because a later one came: HTTP 500 and an empty body (CometD 3.1)."""
        poll = self._end_poll(session, now)
        if poll is not None and isinstance(poll.line, HttpReplyChannel):
            self._registry.effects += poll.line.refuse(500)

    def _end_poll(self, session: BayeuxSession, now: float) -> Poll | None:
        poll, session.poll = session.poll, None
        if poll is None:
            return None
        session.move(SessionMove.RELEASE)
        if isinstance(poll.line, HttpReplyChannel):
            del self.lines[poll.line.request_id]
            self._registry.browsers.release(session.browser, poll.line.transport)
        self._registry.rest(session, now)
        return poll

    def write(
        self, session: BayeuxSession | None, line: ReplyChannel, replies: Sequence[Message], *, drain: bool
    ) -> None:
        """Answer on a line, with what waits for the session if `drain` says so."""
        parcels: tuple[EncodedMessage, ...] = ()
        if drain and session is not None:
            if session.acked or (session.socket is None and isinstance(line, HttpReplyChannel)):
                parcels = self._take(session, line)
            elif session.socket is line:
                self._push(session, session.socket)
        self._registry.effects += line.write(parcels, replies)

    # ------------------------------------------------------------------ sockets
    def open(self, socket: WebSocketReplyChannel) -> None:
        """Begin to use a WebSocket."""
        self.lines[socket.request_id] = socket

    def close(self, socket: WebSocketReplyChannel, code: int, now: float) -> None:
        """Close a WebSocket from the server's side; what it didn't confirm comes back."""
        self._registry.effects += socket.close(code)
        self.gone(socket.request_id, now)

    def refuse(self, line: ReplyChannel, status: int | None, now: float) -> None:
        """Answer with a status and nothing else, or break the connection where that is None.

        On a WebSocket either is an unexpected condition (RFC 6455 §7.4.1).
        """
        if isinstance(line, WebSocketReplyChannel):
            self.close(line, 1011, now)
        else:
            self._registry.effects += line.drop() if status is None else line.refuse(status)

    def bind(self, session: BayeuxSession, line: ReplyChannel, now: float) -> None:
        """Make a line the one that a session uses from now on, and end the use of others (CometD 3.1)."""
        old, held = session.socket, session.poll is not None
        self.cancel(session, now)
        if old is line:
            return
        if old is not None:
            self._unbind(session)
            if held:
                self.close(old, 1000, now)
        if isinstance(line, WebSocketReplyChannel):
            session.socket = line
            line.sessions[session.client_id] = session

    def _unbind(self, session: BayeuxSession) -> None:
        """Take a session from its socket, and with it the messages that the socket didn't confirm."""
        socket, session.socket = session.socket, None
        if socket is None:
            return
        del socket.sessions[session.client_id]
        back = [entry[1] for entry in socket.sent if entry is not None and entry[0] is session]
        if back:
            for index, entry in enumerate(socket.sent):
                if entry is not None and entry[0] is session:
                    socket.sent[index] = None
            self._put_back(session, back)

    # ------------------------------------------------------------------ what became of it
    def delivered(self, request_id: int, now: float) -> None:
        """Take note that a reply, or the oldest unconfirmed frame, was written."""
        line = self.lines.get(request_id)
        if isinstance(line, WebSocketReplyChannel):
            if line.sent:
                line.sent.popleft()
        elif line is not None and line.session is not None:
            self._land(line, now)

    def gone(self, request_id: int, now: float) -> None:
        """Take note that a request was hung up, its reply not written, or its socket closed."""
        line = self.lines.get(request_id)
        if line is None:
            return
        if isinstance(line, WebSocketReplyChannel):
            self._lose_socket(line, now)
        elif line.session is not None:
            self._put_back(line.session, line.parcels)
            self._land(line, now)
        else:
            line.gone = True
            self._lose_poll(line, now)

    def _land(self, line: HttpReplyChannel, now: float) -> None:
        session, line.session = line.session, None
        del self.lines[line.request_id]
        if session is not None:
            session.in_flight -= 1
            self.flush(session, now)

    def _lose_poll(self, line: HttpReplyChannel, now: float) -> None:
        """Give up a held poll, unless the server is to behave like real ones, which don't notice."""
        if line.holder is not None and self._registry.settings.on_hangup == "keep":
            self._end_poll(line.holder, now)

    def _lose_socket(self, socket: WebSocketReplyChannel, now: float) -> None:
        socket.gone = True
        del self.lines[socket.request_id]
        for session in tuple(socket.sessions.values()):
            if session.poll is not None and session.poll.line is socket:
                self._end_poll(session, now)
            self._unbind(session)
            self._registry.rest(session, now)

    def _put_back(self, session: BayeuxSession, parcels: Sequence[EncodedMessage]) -> None:
        if isinstance(session.outbox, Outbox) and not session.over:
            fits = session.outbox.put_back(parcels)
            self._watch(session, fits=fits)


def complete(session: BayeuxSession, reply: Message) -> None:
    """Put into a `/meta/connect` reply what is known only when it is sent."""
    if session.over:
        advice = reply.setdefault("advice", {})
        if isinstance(advice, dict):
            advice["reconnect"] = "none"
    if isinstance(session.outbox, AckedOutbox):
        ext = reply.setdefault("ext", {})
        if isinstance(ext, dict):
            ext["ack"] = session.outbox.close()
