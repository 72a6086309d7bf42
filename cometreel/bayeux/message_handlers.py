"""The rules of each meta channel and of publishes, for a live session (Bayeux 1.0 §4 and §5, CometD 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Final

from cometreel.bayeux.application import NO_DATA, PublishResult
from cometreel.bayeux.channels import canonical, is_broadcast, is_meta
from cometreel.bayeux.delivery import Delivery
from cometreel.bayeux.dialects import Dialect, dialect
from cometreel.bayeux.messages import Message
from cometreel.bayeux.outbox import AckedOutbox, EncodedMessage
from cometreel.bayeux.registry import Registry
from cometreel.bayeux.reply_channels import HttpReplyChannel
from cometreel.bayeux.request_context import MessageContext, MessageRefused, add_policy_result, as_object
from cometreel.bayeux.session import BayeuxSession, SessionMove, SessionState
from cometreel.bayeux.settings import BayeuxSettings, TransportName
from cometreel.jsonvalue import JSON, encode

__all__ = [
    "CONNECT",
    "DISCONNECT",
    "HANDSHAKE",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "MessageHandlers",
    "add_advice",
    "encoded_message",
    "own_members",
]

HANDSHAKE: Final = "/meta/handshake"
CONNECT: Final = "/meta/connect"
SUBSCRIBE: Final = "/meta/subscribe"
UNSUBSCRIBE: Final = "/meta/unsubscribe"
DISCONNECT: Final = "/meta/disconnect"
_META: Final = frozenset({HANDSHAKE, CONNECT, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT})


class MessageHandlers:
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
    def _dialect(self) -> Dialect:
        return dialect(self._registry.settings.dialect)

    def apply(self, context: MessageContext) -> None:
        """Process a message and write the reply, or hold it.

        :raises MessageRefused: if the message violates the protocol and the whole request is refused.
        """
        self._by_channel.get(str(context.reply["channel"]), self._publish)(context)

    # ------------------------------------------------------------------ connect
    def _connect(self, context: MessageContext) -> None:
        session, reply_channel, settings = (
            context.session,
            context.bayeux_request.reply_channel,
            self._registry.settings,
        )
        first = session.state is SessionState.NEW
        session.move(SessionMove.CONNECT)
        session.polls += 1
        session.latest_request = reply_channel.request_id
        resend = _acknowledge(session, context.message)
        advice = context.message.get("advice")
        session.interval = _seconds(as_object(advice).get("interval"), settings.interval)
        if resend or isinstance(advice, dict):
            session.advised = None
        add_advice(session, context.reply, reply_channel.transport, settings)
        context.reply["successful"] = True
        add_policy_result(context.reply, context.policy)
        self._registry.application.connected(session.client_id, context.now)
        if resend or session.is_over or not context.bayeux_request.single:
            return
        self._delivery.flush(session, context.now)
        if not session.outbox.ready or session.in_flight:
            self._maybe_hold(context, first=first)

    def _maybe_hold(self, context: MessageContext, *, first: bool) -> None:
        session, reply_channel, settings = (
            context.session,
            context.bayeux_request.reply_channel,
            self._registry.settings,
        )
        if isinstance(reply_channel, HttpReplyChannel) and not self._registry.browsers.hold(
            session.browser, reply_channel.transport, settings.max_sessions_per_browser
        ):
            _advise_multiple_clients(context.reply, settings)
            session.advised = None
            return
        timeout = _seconds(as_object(context.message.get("advice")).get("timeout"), settings.timeout)
        if first:
            timeout = 0.0
        if context.policy.hold is not None:
            timeout = context.policy.hold
        if timeout > 0 and not self._registry.stopping:
            context.bayeux_request.held = True
            self._delivery.hold(session, reply_channel, context.reply, context.now + timeout)
        elif isinstance(reply_channel, HttpReplyChannel):
            self._registry.browsers.release(session.browser, reply_channel.transport)

    # ------------------------------------------------------------------ subscriptions
    def _subscribe(self, context: MessageContext) -> None:
        index, client_id = self._registry.subscriptions, context.session.client_id
        for name in self._names(context):
            channel = canonical(name)
            if channel is None:
                raise MessageRefused(500)
            if is_meta(channel):
                denied = self._dialect.subscribe_denied if channel in _META else self._dialect.create_denied
                context.reply.update(successful=False, error=denied)
                break
            context.reply["successful"] = True
            if index.add(client_id, channel):
                self._registry.application.subscribed(client_id, channel, context.now)
        add_policy_result(context.reply, context.policy)

    def _unsubscribe(self, context: MessageContext) -> None:
        index, client_id = self._registry.subscriptions, context.session.client_id
        for name in self._names(context):
            channel = canonical(name)
            if channel is None or not (channel in _META or index.exists(channel, context.now)):
                context.reply.update(successful=False, error=self._dialect.channel_missing)
                break
            context.reply["successful"] = True
            if index.remove(client_id, channel, context.now):
                self._registry.application.unsubscribed(client_id, channel, context.now)
        add_policy_result(context.reply, context.policy)

    def _names(self, context: MessageContext) -> Iterable[str]:
        """Return the channels of a subscription message; if it has none, add an error to the reply."""
        wanted = context.message.get("subscription")
        if wanted is None:
            context.reply.update(successful=False, error=self._dialect.subscription_missing)
            return ()
        if not isinstance(wanted, str | list):
            context.reply.update(successful=False, error=self._dialect.subscription_invalid)
            return ()
        names = wanted if isinstance(wanted, list) else [wanted]
        return [name if isinstance(name, str) else encode(name).decode() for name in names]

    # ------------------------------------------------------------------ disconnect
    def _disconnect(self, context: MessageContext) -> None:
        context.reply["successful"] = True
        add_policy_result(context.reply, context.policy)
        self._registry.end(context.session, "disconnect", context.now)

    # ------------------------------------------------------------------ publish
    def _publish(self, context: MessageContext) -> None:
        channel = canonical(str(context.message["channel"]))
        if channel is None:
            raise MessageRefused(500)
        if is_meta(channel):
            context.reply.update(successful=False, error=self._dialect.publish_create_denied)
        else:
            self._registry.subscriptions.use(channel, context.now)
            request = context.bayeux_request.request
            result = self._registry.application.published(self._sender(context), context.message, request, context.now)
            if is_broadcast(channel) and (result is None or not result.handled):
                self._broadcast(channel, context.message, context.now)
            _add_publish_result(context.reply, result or PublishResult())
        add_policy_result(context.reply, context.policy)

    def _sender(self, context: MessageContext) -> str:
        """Return the clientId of a message; that of the first one in the request if it has none of its own."""
        transport = context.bayeux_request.reply_channel.transport
        own = self._registry.find(context.message.get("clientId"), transport, context.bayeux_request.request)
        return context.session.client_id if own is None else own.client_id

    def _broadcast(self, channel: str, message: Message, now: float) -> None:
        recipients = self._registry.subscriptions.recipients(channel)
        if not recipients:
            return
        encoded = encoded_message(message)
        for client_id in recipients:
            session = self._registry.sessions[client_id]
            self._delivery.put(session, encoded, now)
            self._delivery.flush(session, now)


def encoded_message(message: Message, origin: Hashable | None = None) -> EncodedMessage:
    """Encode a message for its receivers."""
    return EncodedMessage(str(message["channel"]), encode(own_members(message)), origin)


def own_members(message: Message) -> Message:
    """Return a message without the sender's fields id and clientId."""
    if "id" not in message and "clientId" not in message:
        return message
    return {key: value for key, value in message.items() if key not in {"id", "clientId"}}


def add_advice(session: BayeuxSession, reply: Message, transport: TransportName, settings: BayeuxSettings) -> None:
    """Add the advice to a reply, unless the client already got it on this transport."""
    if session.advised == transport:
        return
    session.advised = transport
    reply["advice"] = {
        "reconnect": "retry",
        "interval": _milliseconds(session.interval),
        "timeout": _milliseconds(settings.timeout),
    }


def _advise_multiple_clients(reply: Message, settings: BayeuxSettings) -> None:
    """Advise a session of a browser that holds too many polls (CometD 3.1 `multiple-clients`)."""
    advice = {**as_object(reply.get("advice")), "multiple-clients": True}
    if settings.multi_session_interval > 0:
        advice.update(reconnect="retry", interval=_milliseconds(settings.multi_session_interval))
    else:
        advice["reconnect"] = "none"
        reply["successful"] = False
    reply["advice"] = advice


def _acknowledge(session: BayeuxSession, message: Message) -> bool:
    """Process the acknowledgement of a connect; return True if unacknowledged messages must be sent again at once."""
    number = as_object(message.get("ext")).get("ack")
    if not isinstance(session.outbox, AckedOutbox) or isinstance(number, bool) or not isinstance(number, int | float):
        return False
    session.outbox.acknowledge(number)
    return len(session.outbox) > 0 and not session.outbox.ready


def _add_publish_result(reply: Message, result: PublishResult) -> None:
    reply["successful"] = result.successful
    if result.error is not None:
        reply["error"] = result.error
    if result.ext is not None:
        reply["ext"] = result.ext
    if result.data is not NO_DATA:
        reply["data"] = result.data


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _seconds(milliseconds: JSON, default: float) -> float:
    """Convert a client's milliseconds to seconds; return the default for any other value."""
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        return default
    if not 0 <= milliseconds < 2**53:
        return default
    return milliseconds / 1000
