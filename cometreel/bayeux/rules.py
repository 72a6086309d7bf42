"""What each message of a live session does: connect, subscribe, unsubscribe, disconnect, publish.

One rule for each channel (Bayeux 1.0 §4 and §5, as CometD 3.1 does it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from cometreel.bayeux.application import NO_DATA, PublishResult
from cometreel.bayeux.channels import canonical, is_broadcast, is_meta
from cometreel.bayeux.delivery import Delivery
from cometreel.bayeux.dialects import Dialect, dialect
from cometreel.bayeux.messages import Message
from cometreel.bayeux.outbox import AckedOutbox, EncodedMessage
from cometreel.bayeux.registry import Registry
from cometreel.bayeux.reply_channels import HttpReplyChannel
from cometreel.bayeux.request_context import MessageContext, RequestRefused, add_policy_result, as_object
from cometreel.bayeux.session import BayeuxSession, SessionMove, SessionState
from cometreel.bayeux.settings import BayeuxSettings, TransportName
from cometreel.jsonvalue import JSON, encode

__all__ = ["CONNECT", "DISCONNECT", "HANDSHAKE", "SUBSCRIBE", "UNSUBSCRIBE", "Rules", "encoded_message", "take_advice"]

HANDSHAKE: Final = "/meta/handshake"
CONNECT: Final = "/meta/connect"
SUBSCRIBE: Final = "/meta/subscribe"
UNSUBSCRIBE: Final = "/meta/unsubscribe"
DISCONNECT: Final = "/meta/disconnect"
_META: Final = frozenset({HANDSHAKE, CONNECT, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT})


class Rules:
    """The rules of one server."""

    def __init__(self, registry: Registry, delivery: Delivery) -> None:
        self._registry = registry
        self._delivery = delivery
        self._by_channel: dict[str, Callable[[MessageContext], None]] = {
            CONNECT: self._connect,
            SUBSCRIBE: self._subscribe,
            UNSUBSCRIBE: self._unsubscribe,
            DISCONNECT: self._disconnect,
        }

    @property
    def _texts(self) -> Dialect:
        return dialect(self._registry.settings.dialect)

    def apply(self, turn: MessageContext) -> None:
        """Do what a message asks, and write the reply; or hold it.

        :raises Refusal: if the message breaks the protocol so that the whole request is refused.
        """
        self._by_channel.get(str(turn.reply["channel"]), self._publish)(turn)

    # ------------------------------------------------------------------ connect
    def _connect(self, turn: MessageContext) -> None:
        session, line, settings = turn.session, turn.exchange.line, self._registry.settings
        first = session.state is SessionState.NEW
        session.move(SessionMove.CONNECT)
        resend = _acknowledge(session, turn.message)
        asked = turn.message.get("advice")
        session.interval = _seconds(as_object(asked).get("interval"), settings.interval)
        if resend or isinstance(asked, dict):
            session.advised = None
        take_advice(session, turn.reply, line.transport, settings)
        turn.reply["successful"] = True
        add_policy_result(turn.reply, turn.verdict)
        self._registry.application.connected(session.client_id, turn.now)
        if resend or session.over or not turn.exchange.single:
            return
        self._delivery.flush(session, turn.now)
        if not session.outbox.ready or session.in_flight:
            self._maybe_hold(turn, first=first)

    def _maybe_hold(self, turn: MessageContext, *, first: bool) -> None:
        session, line, settings = turn.session, turn.exchange.line, self._registry.settings
        if isinstance(line, HttpReplyChannel) and not self._registry.browsers.hold(
            session.browser, line.transport, settings.max_sessions_per_browser
        ):
            _advise_slowly(turn.reply, settings)
            session.advised = None
            return
        timeout = _seconds(as_object(turn.message.get("advice")).get("timeout"), settings.timeout)
        if first:
            timeout = 0.0
        if turn.verdict.hold is not None:
            timeout = turn.verdict.hold
        if timeout > 0 and not self._registry.stopping:
            turn.exchange.held = True
            self._delivery.hold(session, line, turn.reply, turn.now + timeout)
        elif isinstance(line, HttpReplyChannel):
            self._registry.browsers.release(session.browser, line.transport)

    # ------------------------------------------------------------------ subscriptions
    def _subscribe(self, turn: MessageContext) -> None:
        index, client_id = self._registry.subscriptions, turn.session.client_id
        for name in self._names(turn):
            channel = canonical(name)
            if channel is None:
                raise RequestRefused(500)
            if is_meta(channel):
                denied = self._texts.subscribe_denied if channel in _META else self._texts.create_denied
                turn.reply.update(successful=False, error=denied)
                break
            turn.reply["successful"] = True
            index.use(channel, turn.now)
            if index.add(client_id, channel):
                self._registry.application.subscribed(client_id, channel, turn.now)
        add_policy_result(turn.reply, turn.verdict)

    def _unsubscribe(self, turn: MessageContext) -> None:
        index, client_id = self._registry.subscriptions, turn.session.client_id
        for name in self._names(turn):
            channel = canonical(name)
            if channel is None or not (channel in _META or index.exists(channel, turn.now)):
                turn.reply.update(successful=False, error=self._texts.channel_missing)
                break
            turn.reply["successful"] = True
            if index.remove(client_id, channel, turn.now):
                self._registry.application.unsubscribed(client_id, channel, turn.now)
        add_policy_result(turn.reply, turn.verdict)

    def _names(self, turn: MessageContext) -> Iterable[str]:
        """Read the names that a subscription message is about; none, and an error in the reply, if it has none."""
        wanted = turn.message.get("subscription")
        if wanted is None:
            turn.reply.update(successful=False, error=self._texts.subscription_missing)
            return ()
        if not isinstance(wanted, str | list):
            turn.reply.update(successful=False, error=self._texts.subscription_invalid)
            return ()
        turn.reply["subscription"] = wanted
        names = wanted if isinstance(wanted, list) else [wanted]
        return [name if isinstance(name, str) else encode(name).decode() for name in names]

    # ------------------------------------------------------------------ disconnect
    def _disconnect(self, turn: MessageContext) -> None:
        turn.reply["successful"] = True
        add_policy_result(turn.reply, turn.verdict)
        self._registry.end(turn.session, "disconnect", turn.now)

    # ------------------------------------------------------------------ publish
    def _publish(self, turn: MessageContext) -> None:
        channel = canonical(str(turn.message["channel"]))
        if channel is None:
            raise RequestRefused(500)
        if is_meta(channel):
            turn.reply.update(successful=False, error=self._texts.publish_create_denied)
        else:
            self._registry.subscriptions.use(channel, turn.now)
            client_id, request = turn.session.client_id, turn.exchange.request
            outcome = self._registry.application.published(client_id, turn.message, request, turn.now)
            if is_broadcast(channel) and (outcome is None or not outcome.handled):
                self._broadcast(channel, turn.message, turn.now)
            _add_outcome(turn.reply, outcome or PublishResult())
        add_policy_result(turn.reply, turn.verdict)

    def _broadcast(self, channel: str, message: Message, now: float) -> None:
        recipients = self._registry.subscriptions.recipients(channel)
        if not recipients:
            return
        parcel = encoded_message(message)
        for client_id in recipients:
            session = self._registry.sessions[client_id]
            self._delivery.put(session, parcel)
            self._delivery.flush(session, now)


def encoded_message(message: Message) -> EncodedMessage:
    """Encode a message for its receivers, without what belongs to its sender: id and clientId."""
    kept = {key: value for key, value in message.items() if key not in {"id", "clientId"}}
    return EncodedMessage(str(message["channel"]), encode(kept))


def take_advice(session: BayeuxSession, reply: Message, transport: TransportName, settings: BayeuxSettings) -> None:
    """Put the advice into a reply, if the client wasn't told it on this transport yet."""
    if session.advised == transport:
        return
    session.advised = transport
    reply["advice"] = {
        "reconnect": "retry",
        "interval": _milliseconds(session.interval),
        "timeout": _milliseconds(settings.timeout),
    }


def _advise_slowly(reply: Message, settings: BayeuxSettings) -> None:
    """Tell a session that too many of its browser poll already (CometD 3.1 `multiple-clients`)."""
    advice = {**as_object(reply.get("advice")), "multiple-clients": True}
    if settings.multi_session_interval > 0:
        advice.update(reconnect="retry", interval=_milliseconds(settings.multi_session_interval))
    else:
        advice["reconnect"] = "none"
        reply["successful"] = False
    reply["advice"] = advice


def _acknowledge(session: BayeuxSession, message: Message) -> bool:
    """Take the acknowledgement of a connect; gives True if it leaves something that must be sent again at once."""
    number = as_object(message.get("ext")).get("ack")
    if not isinstance(session.outbox, AckedOutbox) or isinstance(number, bool) or not isinstance(number, int | float):
        return False
    session.outbox.acknowledge(number)
    return len(session.outbox) > 0 and not session.outbox.ready


def _add_outcome(reply: Message, outcome: PublishResult) -> None:
    reply["successful"] = outcome.successful
    if outcome.error is not None:
        reply["error"] = outcome.error
    if outcome.ext is not None:
        reply["ext"] = outcome.ext
    if outcome.data is not NO_DATA:
        reply["data"] = outcome.data


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _seconds(milliseconds: JSON, default: float) -> float:
    """Read a number of milliseconds that a client sent; the default if it is none or negative."""
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        return default
    if not 0 <= milliseconds < 2**53:
        return default
    return milliseconds / 1000
