"""Assigns the flows of a journal to sessions, by the rule of `cometreel.identity`. All values are pseudonyms.

Identities that are seen together name one session, unless it has another user. Credentials count only for requests
without another identity that was seen before. Requests without any identity are anonymous.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator

from cometreel.identity import PRECEDENCE, client_ids_of
from cometreel.recording.journal_events import WireEvent
from cometreel.recording.session_cookie import BROWSER_COOKIE, cookies_of

__all__ = ["Identities"]


class Identities:
    """The sessions of a journal, numbered from 0 in the order in which they first appear.

    `cookie` is the name of the session cookie, None for none; `bound` are the tokens of bound values.
    """

    def __init__(self, events: Iterable[WireEvent], cookie: str | None, bound: Collection[str] = ()) -> None:
        self._cookie = cookie
        self._bound = bound
        self._parent: dict[str, str] = {}
        self._user: dict[str, str] = {}
        self._latest: dict[str, str] = {}
        self._flows: dict[str, str] = {}
        self._seen: set[str] = set()
        for event in events:
            if event.flow:
                self._add(event)
        self._number()

    def session(self, flow: str) -> int:
        """Return the session number of a flow; `anonymous` for a flow that identifies no session."""
        node = self._flows.get(flow)
        return self._numbers[self._root(node)] if node is not None else self.anonymous

    def is_anonymous(self, flow: str) -> bool:
        """True if a flow identifies no session, even if it is assigned to the only one."""
        return self._flows.get(flow, _ANONYMOUS) == _ANONYMOUS

    def _number(self) -> None:
        self._numbers: dict[str, int] = {}
        anonymous = self._root(_ANONYMOUS)
        for node in self._flows.values():
            root = self._root(node)
            if root != anonymous:
                self._numbers.setdefault(root, len(self._numbers))
        self.count = len(self._numbers)
        self.anonymous = 0 if self.count == 1 else -1
        self._numbers[anonymous] = self.anonymous
        self.users = {self._numbers[root]: user for root, user in self._user.items() if root in self._numbers}

    def _add(self, event: WireEvent) -> None:
        nodes = list(self._nodes_of(event))
        user = event.identity.get("user", "")
        credentials = f"user {user}" if user else f"credentials {event.credentials}" if event.credentials else ""
        before = self._flows.get(event.flow)
        if before is not None and before != _ANONYMOUS:
            nodes.insert(0, before)
        if not nodes:
            nodes = [self._latest.get(credentials, credentials) if credentials else _ANONYMOUS]
        elif credentials and self._latest.get(credentials) == credentials and self._seen.isdisjoint(nodes):
            nodes.append(credentials)
        self._seen.update(nodes)
        first = nodes[0]
        for node in nodes[1:]:
            self._join(first, node)
        self._flows[event.flow] = first if nodes[1:] == [] or self._is_same(first, nodes[-1]) else nodes[-1]
        if user:
            self._user.setdefault(self._root(first), user)
        if credentials:
            self._latest[credentials] = first

    def _nodes_of(self, event: WireEvent) -> Iterator[str]:
        cookies = cookies_of(event)
        names = {"cookie": self._cookie, "browser": BROWSER_COOKIE}
        for kind in PRECEDENCE:
            name = names.get(kind)
            if name is not None and name in cookies:
                yield sys.intern(f"cookie {name} {cookies[name]}")
            elif kind == "client":
                yield from (sys.intern(f"client {client_id}") for client_id in client_ids_of(event.body.messages))
            elif kind == "bound":
                yield from (f"bound {token}" for token in event.values.values() if token in self._bound)

    def _root(self, node: str) -> str:
        while node in self._parent:
            node = self._parent[node]
        return node

    def _is_same(self, one: str, other: str) -> bool:
        return self._root(one) == self._root(other)

    def _join(self, one: str, other: str) -> None:
        """Merge two sessions, unless they have different users."""
        one, other = self._root(one), self._root(other)
        users = {self._user.get(one), self._user.get(other)} - {None}
        if one == other or len(users) > 1:
            return
        self._parent[other] = one
        if users:
            self._user[one] = str(users.pop())
            self._user.pop(other, None)


_ANONYMOUS = "anonymous"
