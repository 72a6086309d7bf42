"""Processes a request message by message, up to its reply; and the handshake (Bayeux 1.0 §4.1).

The rules for live sessions are in `rules`; replies are sent by `delivery`.
"""

from __future__ import annotations

from collections.abc import Sequence

from cometreel.bayeux.application import PolicyResult
from cometreel.bayeux.channels import is_meta
from cometreel.bayeux.delivery import Delivery, complete
from cometreel.bayeux.dialects import dialect
from cometreel.bayeux.message_handlers import CONNECT, HANDSHAKE, MessageHandlers, add_advice
from cometreel.bayeux.messages import Message
from cometreel.bayeux.registry import Registry
from cometreel.bayeux.reply_channels import HttpReplyChannel, ReplyChannel
from cometreel.bayeux.request_context import (
    BayeuxRequest,
    MessageContext,
    MessageRefused,
    add_policy_result,
    as_object,
    reply_to,
)
from cometreel.bayeux.session import BayeuxSession
from cometreel.bayeux.settings import TransportName
from cometreel.wire import Request

__all__ = ["MessageProcessor"]

_ALLOWED = PolicyResult()


class MessageProcessor:
    """Processes the requests of one server."""

    def __init__(self, registry: Registry, delivery: Delivery) -> None:
        self._registry = registry
        self._delivery = delivery
        self._rules = MessageHandlers(registry, delivery)

    def run(self, request: Request, reply_channel: ReplyChannel, messages: Sequence[Message], now: float) -> None:
        """Process the messages of one request or frame, and reply unless a `/meta/connect` is held."""
        first = messages[0]
        client_id = None if first.get("channel") == HANDSHAKE else first.get("clientId")
        session = self._registry.find(client_id, reply_channel.transport, request)
        bayeux_request = BayeuxRequest(request, reply_channel, session, single=len(messages) == 1)
        batched = session if first.get("channel") != CONNECT else None
        if batched is not None:
            batched.batches += 1
        try:
            self._process_all(bayeux_request, messages, now)
        finally:
            if batched is not None:
                batched.batches -= 1
            if bayeux_request.session is not None:
                self._registry.restart_expiry(bayeux_request.session, now)
                self._delivery.flush(bayeux_request.session, now)

    def _process_all(self, bayeux_request: BayeuxRequest, messages: Sequence[Message], now: float) -> None:
        reply_channel = bayeux_request.reply_channel
        try:
            for message in messages:
                self._process(bayeux_request, message, now)
        except MessageRefused as refusal:
            self._delivery.refuse(reply_channel, refusal.status, now)
        else:
            if not bayeux_request.held:
                self._delivery.write(
                    bayeux_request.session, reply_channel, bayeux_request.replies, drain=bayeux_request.drain
                )

    def _process(self, bayeux_request: BayeuxRequest, message: Message, now: float) -> None:
        channel = message.get("channel")
        if not isinstance(channel, str) or (channel == HANDSHAKE and not bayeux_request.single):
            raise MessageRefused(500)
        reply, session = reply_to(message, channel), bayeux_request.session
        if channel == HANDSHAKE:
            self._handshake(bayeux_request, message, reply, now)
        elif session is None or session.is_over:
            self._unknown(reply)
        else:
            self._apply_rule(bayeux_request, session, message, reply, now)
        if not bayeux_request.held:
            self._collect(bayeux_request, channel, reply)

    def _apply_rule(
        self, bayeux_request: BayeuxRequest, session: BayeuxSession, message: Message, reply: Message, now: float
    ) -> None:
        """Ask the application about a message of a live session, and apply the rule of its channel."""
        if reply["channel"] == CONNECT:
            self._delivery.bind(session, bayeux_request.reply_channel, now)
        policy = self._policy_of(bayeux_request, session.client_id, message, now)
        if policy.unknown:
            self._unknown(reply)
        elif policy.error is not None:
            reply.update(successful=False, error=policy.error)
        else:
            self._rules.apply(MessageContext(bayeux_request, session, message, reply, policy, now))
            return
        add_policy_result(reply, policy)

    def _policy_of(
        self, bayeux_request: BayeuxRequest, client_id: str | None, message: Message, now: float
    ) -> PolicyResult:
        policy = self._registry.application.allow(message, client_id, bayeux_request.request, now) or _ALLOWED
        if policy.drop:
            raise MessageRefused(None)
        if policy.status is not None:
            raise MessageRefused(policy.status)
        return policy

    def _collect(self, bayeux_request: BayeuxRequest, channel: str, reply: Message) -> None:
        session = bayeux_request.session
        if session is not None and channel == CONNECT:
            complete(session, reply)
            bayeux_request.drain = True
        elif session is not None and channel != HANDSHAKE:
            if session.acked and is_meta(channel):
                reply.setdefault("ext", {})  # the extension adds an empty object (CometD 3.1)
            bayeux_request.drain = bayeux_request.drain or not self._registry.connect_only(session)
        bayeux_request.replies.append(reply)

    def _unknown(self, reply: Message) -> None:
        reply.update(successful=False, error=dialect(self._registry.settings.dialect).session_unknown)
        if reply["channel"] == CONNECT:
            reply["advice"] = {"reconnect": "handshake", "interval": 0}

    def _handshake(self, bayeux_request: BayeuxRequest, message: Message, reply: Message, now: float) -> None:
        policy = self._policy_of(bayeux_request, None, message, now)
        if policy.error is not None or policy.unknown:
            denied = dialect(self._registry.settings.dialect).handshake_denied
            reply.update(successful=False, error=policy.error or denied, advice={"reconnect": "none"})
        else:
            session = bayeux_request.session = self._start(bayeux_request, message, now)
            reply.update(successful=True, clientId=session.client_id, version="1.0", minimumVersion="1.0")
            reply["supportedConnectionTypes"] = list(self._registry.settings.transports)
            self._add_members(session, reply, bayeux_request.reply_channel.transport)
        add_policy_result(reply, policy)

    def _add_members(self, session: BayeuxSession, reply: Message, transport: TransportName) -> None:
        """Add advice and ext to the reply to a successful handshake."""
        members = self._registry.settings.handshake
        if members is None:
            add_advice(session, reply, transport, self._registry.settings)
            if session.acked:
                reply["ext"] = {"ack": True}
            return
        if members.ext is not None:
            reply["ext"] = {**members.ext}
        if members.advice is not None:
            reply["advice"] = {**members.advice}
            session.advised = transport

    def _start(self, bayeux_request: BayeuxRequest, message: Message, now: float) -> BayeuxSession:
        settings, reply_channel = self._registry.settings, bayeux_request.reply_channel
        browser = self._registry.browser_of(bayeux_request.request)
        if browser is None and isinstance(reply_channel, HttpReplyChannel):
            browser = self._registry.new_id("browser")
            cookie = f"{settings.cookie_name}={browser}; {settings.cookie_attributes}"
            reply_channel.headers = (*reply_channel.headers, ("Set-Cookie", cookie))
        offered = settings.ack if settings.handshake is None else as_object(settings.handshake.ext).get("ack") is True
        acked = offered and as_object(message.get("ext")).get("ack") is True
        session = self._registry.start(browser or "", reply_channel.transport, acked=acked)
        if not isinstance(reply_channel, HttpReplyChannel):
            self._delivery.bind(session, reply_channel, now)
        self._registry.restart_expiry(session, now)
        session.batches += 1  # messages of the application follow the reply to the handshake
        self._registry.application.started(session.client_id, bayeux_request.request, now)
        session.batches -= 1
        return session
