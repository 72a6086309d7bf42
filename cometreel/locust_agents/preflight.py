"""Checks before a run: the server, the login of the first user, CometD, and the limit of open files.

An error that would affect every agent is reported once, in one line, and nothing is started.
"""

from __future__ import annotations

import resource

from gevent.event import AsyncResult

from cometreel.bayeux import MalformedMessages, Message, parse_messages
from cometreel.errors import OptionInvalid
from cometreel.jsonvalue import encode
from cometreel.locust_agents.agent_identity import Identity
from cometreel.locust_agents.connection import ConnectionLoss
from cometreel.locust_agents.event_loop import EventLoop
from cometreel.locust_agents.http_client import HttpReply
from cometreel.locust_agents.login import LoginRefused
from cometreel.locust_agents.request_queue import CallbackRequest, ReplyOrLoss, RequestQueue
from cometreel.locust_agents.run_options import RunOptions

__all__ = ["check_open_files", "check_server", "raise_open_files"]

_HOST = "--host"
_EXPECTED = "a GWS server or a replay"
_HANDSHAKE: Message = {
    "channel": "/meta/handshake",
    "id": "1",
    "version": "1.0",
    "minimumVersion": "1.0",
    "supportedConnectionTypes": ["long-polling", "websocket"],
}


def check_server(options: RunOptions) -> None:
    """Log in as the first user, do the CometD handshake, and log out.

    :raises OptionInvalid: if one of these fails, with the reply of the server.
    """
    event_loop = EventLoop()
    agent = _PreflightAgent(options, event_loop)
    try:
        agent.log_in()
        agent.handshake()
    finally:
        agent.close()
        event_loop.stop()


class _PreflightAgent:
    """An agent that checks the server."""

    def __init__(self, options: RunOptions, event_loop: EventLoop) -> None:
        self._options, self._config = options, options.config
        credentials = self._credentials = options.users[0] if options.users else None
        self._identity = Identity(options.target.authority, self._config.login, credentials)
        self._sender = RequestQueue(event_loop, options.target)

    def _send(self, request: bytes) -> HttpReply:
        answer: AsyncResult[ReplyOrLoss] = AsyncResult()
        self._sender.send(CallbackRequest(request, self._config.patience, lambda outcome, _now: answer.set(outcome)))
        outcome = answer.get()
        assert outcome is not None
        if isinstance(outcome, ConnectionLoss):
            raise OptionInvalid(_HOST, f"{self._options.target.base}: {outcome.value}", "a server that answers")
        self._identity.update(outcome)
        return outcome

    def log_in(self) -> None:
        """Send the requests of a login."""
        steps = self._config.login_of(0, self._credentials)
        try:
            step = next(steps)
            while True:
                step = steps.send(self._send(self._identity.request(step)))
        except StopIteration:
            return
        except LoginRefused as error:
            if not error.credentials:
                expected = "a GWS server, or a replay with a recorded login"
                raise OptionInvalid(_HOST, f"{self._options.target.base}: {error}", expected) from None
            user = self._options.users[0].user if self._options.users else ""
            expected = "a user name and a password that the server accepts"
            raise OptionInvalid("--reel-users", f"{user}: {error}", expected) from None

    def handshake(self) -> None:
        """Start and end a CometD session."""
        endpoint = self._config.endpoint
        reply = self._send(self._identity.head.post(f"{endpoint}/handshake", encode([_HANDSHAKE])))
        where = f"{self._options.target.base}{endpoint}"
        if 300 <= reply.status < 400:
            hint = "redirects are not followed: use the host of the target"
            raise OptionInvalid(_HOST, f"{where} answered with a redirect (HTTP {reply.status})", _EXPECTED, hint)
        try:
            answer = parse_messages(reply.body)[0]
        except (MalformedMessages, IndexError):
            answer = {}
        error = str(answer.get("error"))
        locked_out = reply.status in {401, 403} or error.startswith(("401:", "403:"))
        hint = "the server requires a login: add --reel-users" if locked_out and self._config.login == "open" else ""
        if reply.status != 200 or answer.get("channel") != "/meta/handshake":
            found = f"{where} answered HTTP {reply.status} without a Bayeux message"
            raise OptionInvalid(_HOST, found, _EXPECTED, hint)
        if answer.get("successful") is not True:
            raise OptionInvalid(_HOST, f"{where} refused the handshake: {error}", _EXPECTED, hint)
        disconnect = {"channel": "/meta/disconnect", "id": "2", "clientId": answer.get("clientId")}
        self._send(self._identity.head.post(f"{endpoint}/disconnect", encode([disconnect])))
        if self._config.end is not None:
            self._send(self._identity.request(self._config.end))

    def close(self) -> None:
        """Close the connection."""
        self._sender.close()


_SOCKETS_PER_AGENT = 2
_OTHER_FILES = 64
_MAX_FILES = 262_144


def check_open_files(agents: int) -> None:
    """Raise the limit of open files of this process for this number of agents.

    :raises OptionInvalid: if the system doesn't allow so many.
    """
    needed = _SOCKETS_PER_AGENT * agents + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        found = f"{agents} agents need {needed} open files, but only {hard} are allowed"
        raise OptionInvalid("--users", found, "fewer agents in a process", "more workers, or ulimit -Hn in the shell")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def raise_open_files() -> None:
    """Raise the limit of open files to its maximum: a worker doesn't know how many agents it will get."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
