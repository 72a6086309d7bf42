"""One live CometD session on asyncio: sends the messages of a `BayeuxClient` by long-polling and reports its events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cometreel.bayeux import (
    BayeuxClient,
    ClientEvent,
    ClientSettings,
    Closed,
    Connected,
    Failed,
    MalformedMessages,
    Message,
    Published,
    Received,
    Send,
    SessionUnknown,
    parse_messages,
)
from cometreel.jsonvalue import JSONObject, encode
from cometreel.verify.http_session import HttpSession, NoAnswer
from cometreel.verify.request_building import BuiltPublish

__all__ = ["CometdSession", "SessionListener"]

_DISCONNECT_SECONDS = 2.0
"""Time to wait for the reply to a disconnect, on which nothing depends."""


@dataclass(frozen=True, slots=True)
class SessionListener:
    """Callbacks of a session."""

    connected: Callable[[], None]
    received: Callable[[JSONObject], None]
    lost: Callable[[str], None]
    """The server no longer knows the session; a new handshake follows."""
    failed: Callable[[BaseException], None]
    """The run cannot continue."""


class CometdSession:
    """The CometD session of one HTTP session. Not thread-safe."""

    def __init__(self, http: HttpSession, endpoint: str, listener: SessionListener) -> None:
        self._http, self._endpoint, self._listener = http, endpoint, listener
        self._client = BayeuxClient(ClientSettings(max_network_delay=http.patience_seconds))
        self._connected = False
        self._subscribed = False
        self._publishing: dict[str, asyncio.Future[JSONObject]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = asyncio.Event()

    def connect(self, channels: Sequence[str]) -> None:
        """Send the handshake and the subscriptions; `listener.connected` is called when both are done."""
        self._handle([*self._client.subscribe(channels), *self._client.handshake(self._now())])

    async def publish(self, request: BuiltPublish) -> JSONObject:
        """Publish a message and return its acknowledgement, successful or not.

        :raises NoAnswer: if there is none.
        """
        acknowledgement: asyncio.Future[JSONObject] = asyncio.get_running_loop().create_future()
        events = self._client.publish(request.channel, request.data, ext=request.ext)
        for event in events:
            messages = (
                event.messages if isinstance(event, Send) else (event.message,) if isinstance(event, Failed) else ()
            )
            self._publishing.update({str(message["id"]): acknowledgement for message in messages})
        self._handle(events)
        return await acknowledgement

    async def disconnect(self) -> None:
        """Disconnect, and wait a short time for the server's reply."""
        self._handle(self._client.disconnect())
        if self._client.client_id is not None:
            await asyncio.wait([asyncio.ensure_future(self._closed.wait())], timeout=_DISCONNECT_SECONDS)

    async def close(self) -> None:
        """Cancel the timer and all requests."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- sending --------------------------------------------------------------------------------------------
    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _handle(self, events: Sequence[ClientEvent]) -> None:
        for event in events:
            if isinstance(event, Send):
                self._start(event)
            else:
                self._handle_event(event)
        self._set_timer()
        if self._connected and not self._subscribed and all(self._client.subscriptions.values()):
            self._subscribed = True
            self._listener.connected()

    def _start(self, send: Send) -> None:
        task = asyncio.get_running_loop().create_task(self._send(send))
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._listener.failed(error)

    def _set_timer(self) -> None:
        deadline = self._client.deadline()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if deadline is None else asyncio.get_running_loop().call_at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._handle(self._client.advance(self._now()))

    async def _send(self, send: Send) -> None:
        reply = await self._http.post(self._endpoint, encode(list(send.messages)), send.patience)
        messages = _messages(reply.body) if reply is not None and reply.status == 200 else None
        if messages is not None:
            for message in messages:
                self._http.add_secret(str(message.get("clientId", "")))
            self._handle(self._client.receive(messages, self._now(), number=send.number))
            return
        if not self._connected:
            found = "no reply in time" if reply is None else f"status {reply.status} without Bayeux messages"
            self._fail(f"POST {self._endpoint}: {found}")
        self._handle(self._client.failed(send.number, self._now()))

    # --- events ---------------------------------------------------------------------------------------------
    def _handle_event(self, event: ClientEvent) -> None:
        if isinstance(event, Received):
            self._listener.received(event.message)
        elif isinstance(event, Connected):
            self._connected = True
        elif isinstance(event, Published):
            self._resolve(event.message, event.reply)
        elif isinstance(event, Failed):
            self._handle_failure(event)
        elif isinstance(event, SessionUnknown) and self._subscribed:
            self._listener.lost(event.error)
        elif isinstance(event, SessionUnknown):
            self._fail(f"the server lost the CometD session before it was connected: {event.error}")
        elif isinstance(event, Closed):
            self._closed.set()
            if event.error:
                self._fail(f"the server ended the CometD session: {event.error}")

    def _handle_failure(self, event: Failed) -> None:
        if str(event.message["id"]) in self._publishing:
            self._resolve(event.message, {"successful": False, "error": event.error} if event.error else None)
        elif "subscription" in event.message:
            channel = event.message["subscription"]
            self._fail(f"the subscription to {channel} was refused: {event.error or 'no answer'}")

    def _fail(self, reason: str) -> None:
        self._listener.failed(self._http.target.unreachable_error(reason))

    def _resolve(self, message: Message, reply: JSONObject | None) -> None:
        acknowledgement = self._publishing.pop(str(message["id"]))
        if reply is not None:
            acknowledgement.set_result(reply)
        else:
            acknowledgement.set_exception(NoAnswer("no acknowledgement of the publish"))


def _messages(body: bytes) -> list[Message] | None:
    try:
        return parse_messages(body)
    except MalformedMessages:
        return None
