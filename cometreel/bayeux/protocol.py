"""How a request is processed message by message, up to its answer; and the handshake (Bayeux 1.0 §4.1).

The rules for sessions that live are in `rules`; how answers travel is in `delivery`.
"""

from __future__ import annotations

from collections.abc import Sequence

from cometreel.bayeux.application import PolicyResult
from cometreel.bayeux.channels import is_meta
from cometreel.bayeux.delivery import Delivery, complete
from cometreel.bayeux.dialects import dialect
from cometreel.bayeux.messages import Message
from cometreel.bayeux.registry import Registry
from cometreel.bayeux.reply_channels import HttpReplyChannel, ReplyChannel
from cometreel.bayeux.request_context import (
    BayeuxRequest,
    MessageContext,
    RequestRefused,
    add_policy_result,
    as_object,
    reply_to,
)
from cometreel.bayeux.rules import CONNECT, HANDSHAKE, Rules, take_advice
from cometreel.bayeux.session import BayeuxSession
from cometreel.wire import Request

__all__ = ["Protocol"]


class Protocol:
    """What one server does with what it is sent."""

    def __init__(self, registry: Registry, delivery: Delivery) -> None:
        self._registry = registry
        self._delivery = delivery
        self._rules = Rules(registry, delivery)

    def run(self, request: Request, line: ReplyChannel, messages: Sequence[Message], now: float) -> None:
        """Process the messages of one request or frame, and answer unless a `/meta/connect` is held."""
        first = messages[0]
        client_id = None if first.get("channel") == HANDSHAKE else first.get("clientId")
        session = self._registry.find(client_id, line.transport, request)
        exchange = BayeuxRequest(request, line, session, single=len(messages) == 1)
        batched = session if first.get("channel") != CONNECT else None
        if batched is not None:
            batched.batches += 1
        try:
            self._process_all(exchange, messages, now)
        finally:
            if batched is not None:
                batched.batches -= 1
            if exchange.session is not None:
                self._registry.rest(exchange.session, now)
                self._delivery.flush(exchange.session, now)

    def _process_all(self, exchange: BayeuxRequest, messages: Sequence[Message], now: float) -> None:
        line = exchange.line
        try:
            for message in messages:
                self._process(exchange, message, now)
        except RequestRefused as refusal:
            self._delivery.refuse(line, refusal.status, now)
        else:
            if not exchange.held:
                self._delivery.write(exchange.session, line, exchange.replies, drain=exchange.drain)

    def _process(self, exchange: BayeuxRequest, message: Message, now: float) -> None:
        channel = message.get("channel")
        if not isinstance(channel, str) or (channel == HANDSHAKE and not exchange.single):
            raise RequestRefused(500)
        reply, session = reply_to(message, channel), exchange.session
        if channel == HANDSHAKE:
            self._handshake(exchange, message, reply, now)
        elif session is None or session.over:
            self._unknown(message, reply)
        else:
            self._judged(exchange, session, message, reply, now)
        if not exchange.held:
            self._collect(exchange, channel, reply)

    def _judged(
        self, exchange: BayeuxRequest, session: BayeuxSession, message: Message, reply: Message, now: float
    ) -> None:
        """Let the application judge a message of a live session, and apply the rule of its channel."""
        if reply["channel"] == CONNECT:
            self._delivery.bind(session, exchange.line, now)
        verdict = self._judge(exchange, session.client_id, message, now)
        if verdict.unknown:
            self._unknown(message, reply)
        elif verdict.error is not None:
            reply.update(successful=False, error=verdict.error)
            if "subscription" in message:
                reply["subscription"] = message["subscription"]
        else:
            self._rules.apply(MessageContext(exchange, session, message, reply, verdict, now))
            return
        add_policy_result(reply, verdict)

    def _judge(self, exchange: BayeuxRequest, client_id: str | None, message: Message, now: float) -> PolicyResult:
        verdict = self._registry.application.allow(message, client_id, exchange.request, now) or PolicyResult()
        if verdict.drop:
            raise RequestRefused(None)
        if verdict.status is not None:
            raise RequestRefused(verdict.status)
        return verdict

    def _collect(self, exchange: BayeuxRequest, channel: str, reply: Message) -> None:
        session = exchange.session
        if session is not None and channel == CONNECT:
            complete(session, reply)
            exchange.drain = True
        elif session is not None and channel != HANDSHAKE:
            if session.acked and is_meta(channel):
                reply.setdefault("ext", {})  # the extension leaves an empty object there (CometD 3.1)
            exchange.drain = exchange.drain or not self._registry.connect_only(session)
        exchange.replies.append(reply)

    def _unknown(self, message: Message, reply: Message) -> None:
        reply.update(successful=False, error=dialect(self._registry.settings.dialect).session_unknown)
        if message.get("subscription") is not None and is_meta(str(reply["channel"])):
            reply["subscription"] = message["subscription"]
        if reply["channel"] == CONNECT:
            reply["advice"] = {"reconnect": "handshake", "interval": 0}

    def _handshake(self, exchange: BayeuxRequest, message: Message, reply: Message, now: float) -> None:
        verdict = self._judge(exchange, None, message, now)
        if verdict.error is not None or verdict.unknown:
            denied = dialect(self._registry.settings.dialect).handshake_denied
            reply.update(successful=False, error=verdict.error or denied, advice={"reconnect": "none"})
        else:
            session = exchange.session = self._start(exchange, message, now)
            reply.update(successful=True, clientId=session.client_id, version="1.0", minimumVersion="1.0")
            reply["supportedConnectionTypes"] = list(self._registry.settings.transports)
            take_advice(session, reply, exchange.line.transport, self._registry.settings)
            if session.acked:
                reply["ext"] = {"ack": True}
        add_policy_result(reply, verdict)

    def _start(self, exchange: BayeuxRequest, message: Message, now: float) -> BayeuxSession:
        settings, line = self._registry.settings, exchange.line
        browser = self._registry.browser_of(exchange.request)
        if browser is None and isinstance(line, HttpReplyChannel):
            browser = self._registry.new_id("browser")
            line.headers.append(("Set-Cookie", f"{settings.cookie_name}={browser}; {settings.cookie_attributes}"))
        acked = settings.ack and as_object(message.get("ext")).get("ack") is True
        session = self._registry.start(browser or "", line.transport, acked=acked)
        if not isinstance(line, HttpReplyChannel):
            self._delivery.bind(session, line, now)
        self._registry.rest(session, now)
        self._registry.application.started(session.client_id, exchange.request, now)
        return session
