"""One visit to the server before any load: does it answer, let the first user in, and speak Bayeux?

What would make every agent fail is said once, in one line, and nothing is started.
"""

from __future__ import annotations

import resource

from gevent.event import AsyncResult

from cometreel.bayeux import MalformedMessages, Message, parse_messages
from cometreel.errors import OptionInvalid
from cometreel.jsonvalue import encode
from cometreel.locust_agents.connection import ConnectionLoss
from cometreel.locust_agents.event_loop import EventLoop
from cometreel.locust_agents.http_client import HttpReply
from cometreel.locust_agents.identity import Identity
from cometreel.locust_agents.login import END_SESSION, LoginRefused, log_in
from cometreel.locust_agents.request_queue import QueuedRequest, ReplyOrLoss, RequestQueue
from cometreel.locust_agents.run_options import RunOptions

__all__ = ["check_open_files", "check_server", "raise_open_files"]

_HOST = "--host"
_WANTED = "a GWS server or a replay"
_HANDSHAKE: Message = {
    "channel": "/meta/handshake",
    "id": "1",
    "version": "1.0",
    "minimumVersion": "1.0",
    "supportedConnectionTypes": ["long-polling", "websocket"],
}


def check_server(options: RunOptions) -> None:
    """Log in as the first user, shake hands, and leave.

    :raises OptionInvalid: if one of that doesn't work; the sentence says what came instead.
    """
    pump = EventLoop()
    visitor = _PreflightAgent(options, pump)
    try:
        visitor.log_in()
        visitor.shake_hands()
    finally:
        visitor.close()
        pump.stop()


class _PreflightAgent:
    """An agent that only looks whether the door is open."""

    def __init__(self, options: RunOptions, pump: EventLoop) -> None:
        self._options, self._habits = options, options.habits
        who = options.users[0] if options.users else None
        self._identity = Identity(options.target.authority, self._habits.login, who)
        self._line = RequestQueue(pump, options.target)

    def _ask(self, request: bytes) -> HttpReply:
        answer: AsyncResult[ReplyOrLoss] = AsyncResult()
        self._line.ask(QueuedRequest(request, self._habits.patience, lambda outcome, _now: answer.set(outcome)))
        outcome = answer.get()
        assert outcome is not None
        if isinstance(outcome, ConnectionLoss):
            raise OptionInvalid(_HOST, f"{self._options.target.base}: {outcome.value}", "a server that answers")
        self._identity.take(outcome)
        return outcome

    def log_in(self) -> None:
        """Go through the requests of a login."""
        steps = log_in(self._habits.login)
        try:
            step = next(steps)
            while True:
                step = steps.send(self._ask(self._identity.request(step)))
        except StopIteration:
            return
        except LoginRefused as error:
            user = self._options.users[0].user if self._options.users else ""
            expected = "a user name and a password that the server takes"
            raise OptionInvalid("--reel-users", f"{user}: {error}", expected) from None

    def shake_hands(self) -> None:
        """Begin and end a CometD session."""
        endpoint = self._habits.endpoint
        reply = self._ask(self._identity.head.post(f"{endpoint}/handshake", encode([_HANDSHAKE])))
        where = f"{self._options.target.base}{endpoint}"
        if 300 <= reply.status < 400:
            hint = "redirects are not followed: give the host that they lead to"
            raise OptionInvalid(_HOST, f"{where} is redirected (HTTP {reply.status})", _WANTED, hint)
        try:
            answer = parse_messages(reply.body)[0]
        except (MalformedMessages, IndexError):
            answer = {}
        if reply.status != 200 or answer.get("channel") != "/meta/handshake":
            raise OptionInvalid(_HOST, f"{where} answers HTTP {reply.status} without Bayeux", _WANTED)
        if answer.get("successful") is not True:
            raise OptionInvalid(_HOST, f"{where} refuses the handshake: {answer.get('error')}", _WANTED)
        goodbye = {"channel": "/meta/disconnect", "id": "2", "clientId": answer.get("clientId")}
        self._ask(self._identity.head.post(f"{endpoint}/disconnect", encode([goodbye])))
        if self._habits.login != "open":
            self._ask(self._identity.request(END_SESSION))

    def close(self) -> None:
        """End the connection."""
        self._line.close()


_EACH = 2
_OTHERS = 64
_MANY = 262_144


def check_open_files(agents: int) -> None:
    """Raise this process's limit of open files as far as these agents need.

    :raises OptionInvalid: if the system doesn't allow so many.
    """
    needed = _EACH * agents + _OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        found = f"{agents} agents need {needed} open files, and {hard} are allowed"
        raise OptionInvalid("--users", found, "fewer agents in a process", "more workers, or ulimit -Hn in the shell")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def raise_open_files() -> None:
    """Raise this process's limit of open files as far as it goes: a worker isn't told how many agents it will have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MANY if hard == resource.RLIM_INFINITY else min(hard, _MANY)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
