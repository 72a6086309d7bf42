"""Simulated clients: cookies, CometD sessions, polls and sockets, and bad manners on request.

A client performs steps (`do`) and reacts to what it receives. Every delay and every failure is set by a step.
"""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.wire import Accept, Begin, Chunk, Drop, End, Frame, Headers, Reply, Request
from tests.simulation.history import Meaning
from tests.simulation.plan import CSRF_HEADER, ENDPOINT, GETTING, ClientPlan, Operation, identifier_of, list_of
from tests.simulation.transports import TRANSPORTS

if TYPE_CHECKING:
    from tests.simulation.world import World

_RETRY = 0.107  # seconds until a client tries again after a failure
_MAX_RETRIES = 5
_JSON = (("Content-Type", "application/json"),)


class Jar:
    """The cookies, the bound value and the held values of one browser."""

    def __init__(self) -> None:
        self.cookies: dict[str, str] = {}
        self.bound = ""
        self.token = ""


class Client:
    """One client of a run."""

    def __init__(self, plan: ClientPlan, world: World) -> None:
        self.plan, self.world = plan, world
        self.transport = TRANSPORTS[plan.transport]
        others = [each for each in world.clients.values() if plan.jar and each.plan.jar == plan.jar]
        self.jar: Jar = others[0].jar if others else Jar()
        self.client_id = ""
        self.polls = False
        """True if it polls again after each reply to a poll."""
        self.wants = False
        """True if it wants a CometD session, so it shakes hands again when it has lost it."""
        self.held: int | None = None
        self.socket: int | None = None
        self.acknowledged: int | None = None
        self.ack_active = False
        self.retries = 0
        self.fails = 0
        """The number of replies, or of frames after the next one, that will be lost."""
        self.slow = 0.0
        """The time that the next reply or frame needs, in seconds."""
        self.holds_back = 0.0
        """The time by which the next request is delayed, in seconds."""
        self.calm_now = False
        self.left = False
        self._open: dict[int, str] = {}  # the kind of each request in progress
        self._queue: deque[str] = deque()
        self._stalled = False
        self._parts: dict[int, list[bytes]] = {}
        self._messages: dict[int, tuple[JSONObject, ...]] = {}
        self._waiting_frames: list[tuple[list[JSONObject], str]] = []
        self._headers: Headers | None = None
        self._subscriptions: list[str] = []
        self._credentials = {"basic": f"u:{plan.user}", "bearer": f"t:{plan.user}"}.get(plan.identity, "")

    # ------------------------------------------------------------------ steps
    def do(self, what: str, value: JSON) -> None:
        """Perform a step, if it is possible now."""
        self.retries = 0
        getattr(self, f"_do_{what}")(value)

    def _do_call(self, value: JSON) -> None:
        """Call an operation; the value is its name and a number."""
        assert isinstance(value, list)
        name, number = str(value[0]), int(str(value[1]))
        operation = next((each for each in self.world.plan.operations if each.name == name), None)
        if operation is None:
            return
        if operation.trigger == "publish":
            if self.client_id:
                message: JSONObject = {"channel": f"/service/{name}", "data": {"n": number}}
                self._send_messages([message], ("call", name, number))
            return
        if self.plan.identity != "clientId":
            self._call(operation, number)

    def _do_head(self, value: JSON) -> None:
        """Send a HEAD to the resource of an operation; the value is that of the call."""
        assert isinstance(value, list)
        for operation in self.world.plan.operations:
            if operation.name == value[0] and operation.trigger in GETTING and self.plan.identity != "clientId":
                self._call(operation, int(str(value[1])), head=True)

    def _call(self, operation: Operation, number: int, *, head: bool = False) -> None:
        method, path, query, headers, body = _call(operation, number)
        method, kind = ("HEAD", "head") if head else (method, "call")
        if self.jar.token and method == "POST":
            headers = (*headers, (CSRF_HEADER, self.jar.token))
        request = Request(self.world.new_id(), method, path, query, self._fields(*headers), body, "http://localhost")
        user = self.plan.user if self.plan.identity == "basic" else ""
        self._send(request, Meaning(kind, self._names(), operation.name, number, (), user), "call")

    def _do_connect(self, value: JSON) -> None:
        """Shake hands, subscribe to the channels in the value, and poll from now on."""
        if self.plan.identity == "anonymous":
            return
        self.wants = True
        self._leave_socket()
        self._subscriptions = [str(each) for each in value] if isinstance(value, list) else []
        self._handshake()

    def _do_handshake(self, _: JSON) -> None:
        self.polls = False
        self.wants = self.plan.identity != "anonymous"
        if self.wants:
            self._leave_socket()
            self._handshake()

    def _leave_socket(self) -> None:
        """Close the WebSocket of a CometD session that the client leaves."""
        if self.client_id and self.socket is not None:
            self._hang_up()

    def _do_subscribe(self, value: JSON) -> None:
        if self.client_id:
            self._send_messages([{"channel": "/meta/subscribe", "subscription": value}])

    def _do_unsubscribe(self, value: JSON) -> None:
        if self.client_id:
            self._send_messages([{"channel": "/meta/unsubscribe", "subscription": value}])

    def _do_publish(self, value: JSON) -> None:
        """Publish to a channel that no exchange answers: it is broadcast."""
        if self.client_id:
            self._send_messages([{"channel": "/broadcast", "data": {"e": "broadcast.0", "n": value}}])

    def _do_poll(self, _: JSON) -> None:
        """Poll once, even if a poll is held."""
        if self.client_id:
            self._poll()

    def _do_resume(self, _: JSON) -> None:
        if self.client_id and not self.polls:
            self.polls = True
            self._poll()

    def _do_pause(self, _: JSON) -> None:
        """Stop polling after the next reply."""
        self.polls = False

    def _do_batch(self, value: JSON) -> None:
        """Send several messages in one request, a poll among them."""
        if self.client_id:
            messages: list[JSONObject] = [{"channel": "/meta/subscribe", "subscription": value}, self._connect()]
            self._send_messages(messages)

    def _do_disconnect(self, _: JSON) -> None:
        self.wants = self.polls = False
        if self.client_id:
            self._send_messages([{"channel": "/meta/disconnect"}])

    def _do_hangup(self, _: JSON) -> None:
        """Hang up the held poll, or the WebSocket; do not poll again."""
        self.polls = False
        self._hang_up()

    def _do_drop(self, _: JSON) -> None:
        """Lose the connection of the held poll, or the WebSocket, and try again."""
        polled = self.polls
        self._hang_up()
        if polled:
            self.world.after(_RETRY, self._retry)

    def _do_abort(self, _: JSON) -> None:
        """Hang up all calls that are not answered."""
        for number in [each for each, kind in self._open.items() if kind not in ("poll", "socket")]:
            self._end(number)
            self.world.lose(self, number)
            if not self.client_id:
                self._after_failure("")

    def _do_fail(self, value: JSON) -> None:
        self.fails = int(str(value or 1))

    def _do_slow(self, value: JSON) -> None:
        self.slow = float(str(value))

    def _do_delay(self, value: JSON) -> None:
        self.holds_back = float(str(value))

    def _do_forget(self, _: JSON) -> None:
        """Delete all cookies and forget the CometD session, as a browser that is restarted."""
        self._hang_up()
        self.jar.cookies.clear()
        self.jar.bound = self.jar.token = ""
        self.client_id, self._headers, self.polls, self.wants = "", None, False, False

    def _do_unmatched(self, value: JSON) -> None:
        self._plain("GET", "/nowhere", f"a={value}")

    def _do_favicon(self, _: JSON) -> None:
        self._plain("GET", "/favicon.ico", "")

    def _do_options(self, _: JSON) -> None:
        self._plain("OPTIONS", ENDPOINT, "")

    def _do_malformed(self, _: JSON) -> None:
        if self.socket is None:
            self._plain("POST", ENDPOINT, "", b"[{")

    def _do_stranger(self, _: JSON) -> None:
        """Send a message with a clientId that no server has given out."""
        message: JSONObject = {"channel": "/meta/subscribe", "subscription": "/a", "clientId": "stranger"}
        self._send_messages([message])

    def _plain(self, method: str, path: str, query: str, body: bytes = b"") -> None:
        request = Request(self.world.new_id(), method, path, query, self._fields(), body)
        user = self.plan.user if self.plan.identity == "basic" else ""
        self._send(request, Meaning("other", self._names(), user=user), "other")

    # ------------------------------------------------------------------ the end of a run
    def calm(self) -> None:
        """Behave well from now on: poll until everything has been received."""
        self.fails, self.slow, self.holds_back, self.calm_now, self.retries = 0, 0.0, 0.0, True, 0
        if self.socket is not None and not self._stalled:
            self._take_stalled(self.socket)
        if self.wants and not self.polls:
            self.polls = True
            if self.client_id:
                self._poll()
            else:
                self._hang_up()
                self._handshake()

    def leave(self) -> None:
        """Disconnect, and close all connections."""
        self.polls = self.wants = False
        if self.client_id:
            self._send_messages([{"channel": "/meta/disconnect"}])
        self.left = True
        for number in [*self._open]:
            self._end(number)
            self.world.lose(self, number)

    def on_restart(self) -> None:
        """Process the end of all connections, because the server has ended."""
        waited = self.polls
        for number in [*self._open]:
            self._end(number)
        self._queue.clear()
        self.held = self.socket = None
        if waited:
            self.world.after(_RETRY, self._retry)

    # ------------------------------------------------------------------ messages
    def _handshake(self) -> None:
        message: JSONObject = {
            "channel": "/meta/handshake",
            "version": "1.0",
            "supportedConnectionTypes": [self.plan.transport],
        }
        if self.plan.ack:
            message["ext"] = {"ack": True}
        self.client_id = ""
        self._send_messages([message])

    def _connect(self) -> JSONObject:
        message: JSONObject = {"channel": "/meta/connect", "connectionType": self.plan.transport}
        if self.ack_active:
            message["ext"] = {"ack": self.acknowledged}
        return message

    def _poll(self) -> None:
        self._send_messages([self._connect()])

    def _retry(self) -> None:
        if self.left:
            return
        if self.polls and self.client_id:
            self._poll()
        elif self.wants and not self.client_id and self.retries < _MAX_RETRIES:
            self.retries += 1
            self._handshake()

    def _send_messages(self, messages: list[JSONObject], call: tuple[str, str, int] | None = None) -> None:
        for message in messages:
            if message["channel"] != "/meta/handshake" and "clientId" not in message:
                message["clientId"] = self.client_id
        text = json.dumps(messages)
        if self.transport.has_socket:
            self._send_frame(messages, text, call)
            return
        number = self.world.new_id()
        request = self.transport.request(number, ENDPOINT, text, self._fields())
        is_poll = messages[-1]["channel"] == "/meta/connect"
        self._messages[number] = tuple(messages)
        self._send(request, self._meaning(messages, call), "poll" if is_poll else "messages")

    def _meaning(self, messages: list[JSONObject], call: tuple[str, str, int] | None) -> Meaning:
        kind, name, number = call or ("messages", "", 0)
        names = self._names(_client_names(messages))
        user = self.plan.user if self.plan.identity == "basic" and not self.transport.has_socket else ""
        return Meaning("messages" if call is None else kind, names, name, number, tuple(messages), user)

    def _send_frame(self, messages: list[JSONObject], text: str, call: tuple[str, str, int] | None) -> None:
        if self.socket is None:
            self._open_socket()
        number = self.socket
        if number is None or self.world.stopping == self.plan.node:
            return
        kind, name, count = call or ("messages", "", 0)
        meaning = Meaning(kind, (*_client_names(messages),), name, count, tuple(messages))
        self.world.send_frame(self, number, text, meaning)

    def _open_socket(self) -> None:
        if self.world.stopping == self.plan.node:
            return
        number = self.world.new_id()
        request = self.transport.request(number, ENDPOINT, "", self._fields())
        user = self.plan.user if self.plan.identity == "basic" else ""
        self._open[number] = "socket"
        self.world.send(self, request, Meaning("open", self._names(), user=user))

    # ------------------------------------------------------------------ requests
    def _names(self, clients: Iterable[str] = ()) -> tuple[str, ...]:
        cookies, names = self.jar.cookies, []
        if "JSESSIONID" in cookies:
            names.append(f"c:{cookies['JSESSIONID']}")
        if "BAYEUX_BROWSER" in cookies:
            names.append(f"b:{cookies['BAYEUX_BROWSER']}")
        names += clients
        if self.jar.bound:
            names.append(f"v:{self.jar.bound}")
        if self._credentials:
            names.append(self._credentials)
        return tuple(names)

    def _fields(self, *more: tuple[str, str]) -> Headers:
        if not more and self._headers is not None:
            return self._headers
        plan, fields = self.plan, [*more]
        if plan.identity == "basic":
            fields.append(("Authorization", f"Basic {base64.b64encode(f'{plan.user}:x'.encode()).decode()}"))
        elif plan.identity == "bearer":
            fields.append(("Authorization", f"Bearer token-of-{plan.user}"))
        if self.jar.bound:
            fields.append(("X-Session", self.jar.bound))
        if self.jar.cookies:
            fields.append(("Cookie", "; ".join(f"{name}={value}" for name, value in self.jar.cookies.items())))
        headers = Headers(fields)
        if not more and not self.plan.jar:
            self._headers = headers
        return headers

    def _send(self, request: Request, meaning: Meaning, kind: str) -> None:
        if self.holds_back and not self.left:
            seconds, self.holds_back = self.holds_back, 0.0
            self.world.after(seconds, lambda: self._send_now(request, meaning, kind))
        else:
            self._send_now(request, meaning, kind)

    def _send_now(self, request: Request, meaning: Meaning, kind: str) -> None:
        if self.left or self.world.stopping == self.plan.node:
            return
        self._open[request.id] = kind
        if kind == "poll":
            self.held = request.id
        self.world.send(self, request, meaning)

    def _end(self, number: int) -> str:
        self._messages.pop(number, None)
        if self.held == number:
            self.held = None
        if self.socket == number:
            self.socket, self._stalled = None, False
            self._queue.clear()
        return self._open.pop(number, "")

    def _hang_up(self) -> None:
        for number in (self.held, self.socket):
            if number is not None and number in self._open:
                self._end(number)
                self.world.lose(self, number)

    # ------------------------------------------------------------------ called by the world
    def on_reply(self, reply: Reply) -> None:
        """Receive a reply, at once, later or never."""
        if reply.request_id not in self._open:
            return
        if self.fails:
            self.fails -= 1
            self.world.soon(lambda: self._fail(reply.request_id))
            if not self.fails and self.socket is not None and self._queue:
                self._fail_soon(self.socket)  # the frames before it are lost, too
        elif self.slow and not self.world.asleep:
            seconds, self.slow = self.slow, 0.0
            self.world.after(seconds, lambda: self._take(reply))
        else:
            self.world.soon(lambda: self._take(reply))

    def on_frame(self, frame: Frame) -> None:
        """Receive a frame, at once, later or never."""
        number = frame.request_id
        if number != self.socket:
            return
        self._queue.append(frame.text)
        if self.fails:
            self.fails -= 1
            if not self.fails:
                self._fail_soon(number)
        elif self.slow and not self.world.asleep:
            seconds, self.slow, self._stalled = self.slow, 0.0, True
            self.world.after(seconds, lambda: self._take_stalled(number))
        elif not self._stalled:
            self.world.soon(lambda: self._take_frame(number))

    def on_accept(self, accept: Accept) -> None:
        """Use the WebSocket."""
        self._keep_cookies(accept.headers)
        self.socket = accept.request_id

    def on_drop(self, drop: Drop) -> None:
        """Process the end of a connection by the server."""
        number = drop.request_id
        is_known = number in self._open
        kind = self._end(number)
        if is_known:
            self.world.soon(lambda: self._notice_loss(number, kind))

    def _notice_loss(self, number: int, kind: str) -> None:
        self.world.lose(self, number)
        self._after_failure(kind)

    def on_part(self, part: Begin | Chunk | End) -> None:
        """Collect a reply that is sent in parts."""
        number = part.request_id
        if isinstance(part, Begin):
            self._parts[number] = []
        elif isinstance(part, Chunk):
            self._parts[number].append(part.data)
            self.world.soon(lambda: self.world.deliver(self, number, None))
        else:
            self._take(Reply(number, 200, Headers(), b"".join(self._parts.pop(number))))

    def _fail_soon(self, number: int) -> None:
        self.world.soon(lambda: self._fail(number))

    def _fail(self, number: int) -> None:
        if number in self._open:
            self._notice_loss(number, self._end(number))

    def _after_failure(self, kind: str) -> None:
        if not self.left and (kind in ("poll", "socket") or not self.client_id):
            self.world.after(_RETRY, self._retry)

    def _take(self, reply: Reply) -> None:
        number = reply.request_id
        if number not in self._open:
            return
        messages = self._messages.get(number)
        kind = self._end(number)
        self._keep_cookies(reply.headers)
        if self.world.plan.options.auth == "csrf":
            self.jar.token = reply.headers.get(CSRF_HEADER) or self.jar.token
        content = self._content(reply, is_bayeux=messages is not None)
        self.world.deliver(self, number, content)
        if messages is not None and isinstance(content, list):
            if messages[0].get("clientId", self.client_id) == self.client_id:
                self._read(content)
        elif messages is not None:
            self._after_failure(kind if reply.status != 500 else "messages")
        elif isinstance(content, dict) and "sid" in content and self.plan.identity == "bound":
            self.jar.bound, self._headers = str(content["sid"]), None

    def _content(self, reply: Reply, *, is_bayeux: bool) -> JSON:
        body: bytes | str = reply.body
        if is_bayeux and reply.status == 200:
            body = self.transport.text_of(reply.body)
        return _parsed(body if isinstance(body, str) else body.decode(errors="replace"))

    def _take_stalled(self, number: int) -> None:
        self._stalled = False
        for _ in range(len(self._queue)):
            self._take_frame(number)

    def _take_frame(self, number: int) -> None:
        if number != self.socket or not self._queue:
            return
        content = _parsed(self._queue.popleft())
        assert isinstance(content, list)
        self.world.deliver(self, number, content)
        self._read(content)

    def _keep_cookies(self, headers: Headers) -> None:
        for name, value in headers.fields:
            if name == "Set-Cookie":
                key, _, rest = value.partition(";")[0].partition("=")
                if self.plan.identity == "cookies" or (self.plan.identity != "anonymous" and self._keeps(key)):
                    self.jar.cookies[key] = rest
                    self._headers = None

    def _keeps(self, cookie: str) -> bool:
        """True if a client without a session cookie keeps this one: most servers require that of Bayeux."""
        return cookie == "BAYEUX_BROWSER" and (
            self.plan.identity == "browser" or self.world.plan.options.require_cookie
        )

    # ------------------------------------------------------------------ reactions
    def _read(self, messages: list[JSON]) -> None:
        for message in messages:
            assert isinstance(message, dict)
            channel = message.get("channel")
            if channel == "/meta/connect":
                self._read_connect(message)
            elif channel == "/meta/handshake":
                self._read_handshake(message)
            elif channel == "/meta/disconnect" and message.get("successful"):
                self.client_id, self.polls = "", False

    def _read_handshake(self, message: JSONObject) -> None:
        if not message.get("successful"):
            if self.plan.reconnects and self.wants:
                self.world.after(_RETRY, self._retry)
            return
        self.client_id, self.acknowledged = str(message["clientId"]), None
        ext = message.get("ext")
        self.ack_active = isinstance(ext, dict) and ext.get("ack") is True
        self.acknowledged = -1 if self.ack_active else None
        for channel in self._subscriptions:
            self._send_messages([{"channel": "/meta/subscribe", "subscription": channel}])
        if self.wants:
            self.polls = True
            self._poll()

    def _read_connect(self, message: JSONObject) -> None:
        ext, advice = message.get("ext"), message.get("advice")
        if isinstance(ext, Mapping) and "ack" in ext:
            self.acknowledged = int(str(ext["ack"]))
        advice = advice if isinstance(advice, dict) else {}
        reconnect = advice.get("reconnect", "retry")
        if reconnect == "handshake":
            self._lose_session()
        elif reconnect == "none":
            self.polls, self.client_id = False, ""
            if self.calm_now:
                self.wants = False
        elif self.polls and self.held is None:
            pause = float(str(advice.get("interval", 0))) / 1000 + (0.0 if self.calm_now else self.plan.delay)
            if not message.get("successful"):
                pause += _RETRY
            if pause or self.transport.has_socket:
                self.world.after(pause, self._poll_again)
            else:
                self._poll()

    def _poll_again(self) -> None:
        if self.polls and self.client_id and self.held is None and not self.left:
            self._poll()

    def _lose_session(self) -> None:
        self._leave_socket()
        had, self.client_id = self.client_id, ""
        if had and self.plan.reconnects and self.wants and not self.left:
            self.world.after(_RETRY, self._retry)


def _client_names(messages: list[JSONObject]) -> list[str]:
    """Return the names of the clients that have sent messages."""
    if len(messages) == 1:
        return [f"i:{messages[0]['clientId']}"] if "clientId" in messages[0] else []
    return [*dict.fromkeys(f"i:{each['clientId']}" for each in messages if "clientId" in each)]


@lru_cache(maxsize=1024)
def _parsed(text: str) -> JSON:
    """Return a JSON text as a value, other texts as text; those of equal replies are read once, and never changed."""
    if text[:1] in ("{", "["):
        found: JSON = json.loads(text)
        return found
    return text


def _call(operation: Operation, number: int) -> tuple[str, str, str, tuple[tuple[str, str], ...], bytes]:
    """Return method, path, query, header fields and body of a call."""
    name, trigger = operation.name, operation.trigger
    if trigger == "query":
        return "GET", f"/{name}", f"n={number}", (), b""
    if trigger == "path":
        return "GET", f"/items/{name}/{number}", "", (), b""
    if trigger == "csv":
        return "GET", f"/{name}", urlencode({"list": list_of(number)}), (), b""
    if trigger == "header":
        return "GET", f"/{name}", "", (("X-Call", name),), b""
    if trigger == "form":
        fields = (("Content-Type", "application/x-www-form-urlencoded"),)
        return "POST", f"/{name}", "", fields, urlencode({"n": number}).encode()
    if trigger == "literal":
        body = f'{{"op": "{name}"}}'
    elif trigger == "id":
        body = f'{{"op": "{name}", "owner": "{identifier_of(trigger, number)}"}}'
    elif trigger == "regex":
        body = f'{{"op": "{name}-{number}"}}'
    else:
        body = f'{{"op": "{name}", "n": {number}}}'
    return "POST", "/calls", "", (), body.encode()
