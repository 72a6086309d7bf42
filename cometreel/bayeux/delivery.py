"""Delivers messages to sessions: queues, replies, held polls and WebSockets.

Until a session ends, no message is lost and messages stay in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cometreel.bayeux.application import DropReason
from cometreel.bayeux.messages import Message
from cometreel.bayeux.outbox import AckedOutbox, EncodedMessage, Outbox
from cometreel.bayeux.registry import Registry
from cometreel.bayeux.reply_channels import HttpReplyChannel, ReplyChannel, WebSocketReplyChannel
from cometreel.bayeux.session import BayeuxSession, Poll, SessionMove
from cometreel.wire import Log

__all__ = ["Delivery", "complete"]


class Delivery:
    """Queues, polls and WebSockets of one server."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.reply_channels: dict[int, ReplyChannel] = {}
        """Open WebSockets, held requests, and requests whose reply carried messages and isn't confirmed."""

    # ------------------------------------------------------------------ messages
    def put(self, session: BayeuxSession, encoded: EncodedMessage, now: float) -> None:
        """Queue one message."""
        fits = session.outbox.put(encoded)
        if not fits:
            self._overflow(session, now)

    def flush(self, session: BayeuxSession, now: float) -> None:
        """Send the queued messages of a session, if it has a channel and its own request isn't being processed."""
        if session.batches:
            return
        if session.is_over:
            self._flush_last(session, now)
        elif session.outbox.ready and not session.in_flight:
            if session.socket is not None and not self._registry.connect_only(session):
                self._push(session, session.socket)
            elif session.poll is not None:
                self.release(session, now)

    def _take_queued(self, session: BayeuxSession, reply_channel: ReplyChannel) -> tuple[EncodedMessage, ...]:
        """Remove queued messages to write them on a reply channel."""
        if session.in_flight and not session.is_over:
            return ()  # earlier messages may be queued again, and must be sent first
        encoded = session.outbox.take()
        if encoded and isinstance(reply_channel, HttpReplyChannel) and self._keeps(session):
            reply_channel.session, reply_channel.encoded = session, encoded
            self.reply_channels[reply_channel.request_id] = reply_channel
            session.in_flight += 1
        return encoded

    def _push(self, session: BayeuxSession, socket: WebSocketReplyChannel) -> None:
        if session.in_flight and not session.is_over:
            return
        encoded = session.outbox.take()
        self._registry.effects += socket.push(session, encoded, remember=self._keeps(session))

    def _flush_last(self, session: BayeuxSession, now: float) -> None:
        if session.socket is not None and not session.acked:
            self._push(session, session.socket)
        if session.poll is not None:
            self.release(session, now)
        self._unbind(session, now)
        self._drop(session, session.outbox.take_unsent(), "client gone", now)

    def _keeps(self, session: BayeuxSession) -> bool:
        return self._registry.settings.on_hangup == "keep" and not session.acked

    def _overflow(self, session: BayeuxSession, now: float) -> None:
        """Report the messages that were dropped at the limit of the queue."""
        dropped, session.outbox.dropped = session.outbox.dropped, ()
        self._drop(session, dropped, "queue full", now)
        if not session.overflowed:
            session.overflowed = True
            limit = self._registry.settings.max_queue
            text = f"more than {limit} messages wait for one CometD session: the oldest are dropped from now on"
            self._registry.effects.append(Log("warning", text))

    def _drop(self, session: BayeuxSession, messages: Iterable[EncodedMessage], reason: DropReason, now: float) -> None:
        for encoded in messages:
            self._registry.application.dropped(session.client_id, encoded, reason, now)

    # ------------------------------------------------------------------ polls
    def hold(self, session: BayeuxSession, reply_channel: ReplyChannel, reply: Message, until: float) -> None:
        """Hold a `/meta/connect` until there are messages, or until this time."""
        session.move(SessionMove.HOLD)
        session.poll = Poll(reply_channel, reply)
        if isinstance(reply_channel, HttpReplyChannel):
            reply_channel.holder = session
        self.reply_channels[reply_channel.request_id] = reply_channel
        self._registry.deadlines.set(session.client_id, until)

    def release(self, session: BayeuxSession, now: float) -> None:
        """Answer the held `/meta/connect` with the queued messages."""
        poll = self._end_poll(session, now)
        if poll is not None:
            complete(session, poll.reply)
            self.write(session, poll.reply_channel, [poll.reply], drain=True)

    def cancel(self, session: BayeuxSession, now: float) -> None:
        """End the held `/meta/connect` because a later one came: HTTP 500 and an empty body (CometD 3.1)."""
        poll = self._end_poll(session, now)
        if poll is not None and isinstance(poll.reply_channel, HttpReplyChannel):
            self._registry.effects += poll.reply_channel.refuse(500)

    def _end_poll(self, session: BayeuxSession, now: float) -> Poll | None:
        poll, session.poll = session.poll, None
        if poll is None:
            return None
        session.move(SessionMove.RELEASE)
        if isinstance(poll.reply_channel, HttpReplyChannel):
            del self.reply_channels[poll.reply_channel.request_id]
            self._registry.browsers.release(session.browser, poll.reply_channel.transport)
        self._registry.restart_expiry(session, now)
        return poll

    def write(
        self, session: BayeuxSession | None, reply_channel: ReplyChannel, replies: Sequence[Message], *, drain: bool
    ) -> None:
        """Write replies, with the queued messages of the session if `drain` is set."""
        encoded: tuple[EncodedMessage, ...] = ()
        if drain and session is not None:
            if session.acked or (session.socket is None and isinstance(reply_channel, HttpReplyChannel)):
                encoded = self._take_queued(session, reply_channel)
            elif session.socket is reply_channel:
                self._push(session, session.socket)
        self._registry.effects += reply_channel.write(encoded, replies)
        if encoded and session is not None and isinstance(session.outbox, AckedOutbox):
            self._remember_acked(session, session.outbox, reply_channel)

    def _remember_acked(self, session: BayeuxSession, outbox: AckedOutbox, reply_channel: ReplyChannel) -> None:
        """Remember a write with all messages of an acknowledged session, until it is confirmed or has failed."""
        position = outbox.start_write()
        if self._registry.settings.on_hangup == "lose" or reply_channel.gone:
            outbox.end_write(position, written=not reply_channel.gone)
        elif isinstance(reply_channel, WebSocketReplyChannel):
            reply_channel.remember(session, position)
        else:
            reply_channel.session, reply_channel.position = session, position
            self.reply_channels[reply_channel.request_id] = reply_channel

    # ------------------------------------------------------------------ sockets
    def open(self, socket: WebSocketReplyChannel) -> None:
        """Register an open WebSocket."""
        self.reply_channels[socket.request_id] = socket

    def close(self, socket: WebSocketReplyChannel, code: int, now: float) -> None:
        """Close a WebSocket from the server's side; its unconfirmed messages are queued again."""
        self._registry.effects += socket.close(code)
        self.gone(socket.request_id, now)

    def refuse(self, reply_channel: ReplyChannel, status: int | None, now: float) -> None:
        """Answer with a status and no body, or break the connection if the status is None.

        On a WebSocket both close it with the code for an unexpected condition (RFC 6455 §7.4.1).
        """
        if isinstance(reply_channel, WebSocketReplyChannel):
            self.close(reply_channel, 1011, now)
        else:
            self._registry.effects += reply_channel.drop() if status is None else reply_channel.refuse(status)

    def bind(self, session: BayeuxSession, reply_channel: ReplyChannel, now: float) -> None:
        """Make this the reply channel of a session, and stop using others (CometD 3.1)."""
        old, held = session.socket, session.poll is not None
        self.cancel(session, now)
        if old is reply_channel:
            return
        if old is not None:
            self._unbind(session, now)
            if held:
                self.close(old, 1000, now)
        if isinstance(reply_channel, WebSocketReplyChannel):
            session.socket = reply_channel
            reply_channel.sessions[session.client_id] = session

    def _unbind(self, session: BayeuxSession, now: float) -> None:
        """Remove a session from its WebSocket, and queue its unconfirmed messages again.

        Those of a session that has ended stay on the WebSocket: they are reported if it closes before they are written.
        """
        socket, session.socket = session.socket, None
        if socket is None:
            return
        del socket.sessions[session.client_id]
        if session.is_over or session.acked:
            return
        sent = (entry[1] for entry in socket.sent if entry is not None and entry[0] is session)
        back = [each for each in sent if isinstance(each, EncodedMessage)]
        if back:
            for index, entry in enumerate(socket.sent):
                if entry is not None and entry[0] is session:
                    socket.sent[index] = None
            self._put_back(session, back, now)

    # ------------------------------------------------------------------ after writing
    def delivered(self, request_id: int, now: float) -> None:
        """Record that a reply, or the oldest unconfirmed frame, was written."""
        reply_channel = self.reply_channels.get(request_id)
        if isinstance(reply_channel, WebSocketReplyChannel):
            entry = reply_channel.confirm()
            if entry is not None and isinstance(entry[1], int):
                self._end_write(entry[0], entry[1], now, written=True)
        elif reply_channel is not None and reply_channel.session is not None:
            self._reply_done(reply_channel, now, written=True)

    def gone(self, request_id: int, now: float) -> None:
        """Handle a client that disconnected, a reply that was not written, or a WebSocket that closed."""
        reply_channel = self.reply_channels.get(request_id)
        if reply_channel is None:
            return
        if isinstance(reply_channel, WebSocketReplyChannel):
            self._lose_socket(reply_channel, now)
        elif reply_channel.session is not None:
            if reply_channel.session.is_over:
                self._drop(reply_channel.session, reply_channel.encoded, "client gone", now)
            self._put_back(reply_channel.session, reply_channel.encoded, now)
            self._reply_done(reply_channel, now, written=False)
        else:
            reply_channel.gone = True
            self._lose_poll(reply_channel, now)

    def _reply_done(self, reply_channel: HttpReplyChannel, now: float, *, written: bool) -> None:
        session, reply_channel.session = reply_channel.session, None
        del self.reply_channels[reply_channel.request_id]
        if session is None:
            return
        if session.acked:
            self._end_write(session, reply_channel.position, now, written=written)
        else:
            session.in_flight -= 1
            self.flush(session, now)

    def _end_write(self, session: BayeuxSession, position: int, now: float, *, written: bool) -> None:
        """End a write of an acknowledged session; if it was the last one, report what the session never received."""
        if isinstance(session.outbox, AckedOutbox):
            session.outbox.end_write(position, written=written)
            if session.is_over:
                self._drop(session, session.outbox.take_unsent(), "client gone", now)

    def _lose_poll(self, reply_channel: HttpReplyChannel, now: float) -> None:
        """End a held poll, unless the server behaves like real ones, which don't notice."""
        if reply_channel.holder is not None and self._registry.settings.on_hangup == "keep":
            self._end_poll(reply_channel.holder, now)

    def _lose_socket(self, socket: WebSocketReplyChannel, now: float) -> None:
        socket.gone = True
        del self.reply_channels[socket.request_id]
        for session in tuple(socket.sessions.values()):
            if session.poll is not None and session.poll.reply_channel is socket:
                self._end_poll(session, now)
            self._unbind(session, now)
            self._registry.restart_expiry(session, now)
        for session, sent in filter(None, socket.sent):
            if isinstance(sent, int):
                self._end_write(session, sent, now, written=False)
            elif session.is_over:
                self._drop(session, (sent,), "client gone", now)

    def _put_back(self, session: BayeuxSession, encoded: Sequence[EncodedMessage], now: float) -> None:
        if isinstance(session.outbox, Outbox) and not session.is_over and not session.outbox.put_back(encoded):
            self._overflow(session, now)


def complete(session: BayeuxSession, reply: Message) -> None:
    """Add the fields of a `/meta/connect` reply that are known only when it is sent."""
    if session.is_over:
        advice = reply.setdefault("advice", {})
        if isinstance(advice, dict):
            advice["reconnect"] = "none"
    if isinstance(session.outbox, AckedOutbox):
        ext = reply.setdefault("ext", {})
        if isinstance(ext, dict):
            ext["ack"] = session.outbox.close()
